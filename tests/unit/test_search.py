"""Searching: what is found, and that nobody waits for somebody else's search."""

import asyncio
import threading
import unicodedata

import peewee
import pytest

from chatbot.errors import SearchReplaced, SearchTooLong
from chatbot.searching import Searches
from chatbot.storage import database, search
from chatbot.storage.tables import Conversation, Message, User

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(each_database_url):
    return each_database_url


@pytest.fixture
def ann(storage):
    return storage.write_now(User.create, name="Ann", name_key="ann", password_hash="x").id


def say(user_id, title, *texts):
    made = Conversation.create(user=user_id, title=title)
    for text in texts:
        Message.create(conversation=made, role="user", content=text)
    return made


DECOMPOSED = unicodedata.normalize("NFD", "Ärger")
FOUND = [
    ("Привет мир", "привет"),
    ("привет", "ПРИВЕТ"),
    ("пРиВеТ", "Привет"),
    ("Ärger", "ärger"),
    ("Ärger", "ÄRGER"),
    (DECOMPOSED, DECOMPOSED),
    ("Ärger", DECOMPOSED.lower()),
    ("Ξ ΣΊΣΥΦΟΣ", "σίσυφοσ"),
    ("σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("İstanbul", "İstanbul"),
    ("ＡＢＣ　１２", "abc"),
    ("ａｂｃ", "ABC"),
    ("abc", "ＡＢＣ"),
    ("Abc", "ａｂｃ"),
    ("第２０２６号", "2026"),
    ("2026", "２０２６"),
    ("x-ｙ", "X-Ｙ"),
    ("Ｃ++", "c++"),
    ("苹果很好", "苹果"),
    ("版本Ｖ２.0，ok", "v2"),
    ("100%_sure", "100%_"),
    ("a*b?c[d]e", "*b?c[d]"),
    ("Ж*[x]?", "ж*[x]?"),
    (r"C:\new", "c:\\NEW"),
    ("ж.+(x)$", "Ж.+(X)$"),
]
NOT_FOUND = [
    ("100 percent", "100%"),
    ("axb", "a_b"),
    ("Жab", "ж?b"),
    ("Жab", "ж[ab]b"),
    ("Ｃc", "c++"),
    ("жxb", "ж.b"),
    ("Arger", "ärger"),
]


@pytest.mark.parametrize("place", ["title", "message"])
def test_letters_are_found_in_any_case_and_width(storage, ann, place):
    def look():
        wrong = []
        for expected, pairs in ((1, FOUND), (0, NOT_FOUND)):
            for text, word in pairs:
                made = say(ann, text) if place == "title" else say(ann, "x0", text)
                rows = search.conversations(ann, 9, word, titles_only=place == "title")
                if len(rows) != expected:
                    wrong.append((text, word, len(rows)))
                made.delete_instance(recursive=True)
        return wrong

    assert storage.write_now(look) == []


def test_all_words_have_to_be_there_and_others_messages_are_not_seen(storage, ann):
    def look():
        bob = User.create(name="Bob", name_key="bob", password_hash="x").id
        say(bob, "b", "привет ＡＢＣ")
        say(ann, "one", "Привет", "ＡＢＣ")
        say(ann, "two", "Привет")
        return [[row.title for row in search.conversations(ann, 9, words)] for words in
                ("привет abc", "привет", "abc zebra")]  # fmt: skip

    first, second, third = storage.write_now(look)
    assert first == ["one"]
    assert sorted(second) == ["one", "two"]
    assert third == []


def test_what_is_beyond_eight_words_or_a_hundred_characters_is_not_looked_for():
    assert search.words_of(" ".join("abcdefghijk")) == list("abcdefgh")
    assert search.words_of("x" * 10_000) == ["x" * search.MOST_CHARACTERS]
    assert search.words_of(" ") == []


def test_a_search_for_common_letters_reads_wide_ones_by_their_index(storage, ann):
    if not isinstance(storage.database, peewee.SqliteDatabase):
        pytest.skip("PostgreSQL plans by the number of rows")

    def plan():
        condition = search._found("zebra", False)
        query = Conversation.select(Conversation.id).where(condition)
        text, values = query.sql()
        rows = storage.database.execute_sql(f"explain query plan {text}", values)
        return " ".join(row[3] for row in rows)

    assert "message_wide" in storage.write_now(plan)


# Time


async def test_a_search_that_takes_too_long_is_ended_and_the_thread_is_free(
    storage, ann, monkeypatch
):
    monkeypatch.setattr(database, "SEARCH_SECONDS", 0.2)
    endless = (
        "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
    )
    for _ in range(database.SEARCHERS + 1):
        with pytest.raises(SearchTooLong):
            await storage.search(storage.database.execute_sql, endless)
    assert await storage.search(User.select().count) == 1
    assert await storage.read(User.select().count) == 1


async def test_nobody_waits_for_searches(storage, ann):
    held = threading.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(storage.search(held.wait))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await storage.look()
            assert await storage.read_inline(User.select().count) == 1
            await storage.write(User.create, name="Bob", name_key="bob", password_hash="x")
        held.set()


# One at a time


class Track:
    def __init__(self):
        self.searches = Searches()
        self.running = []
        self.ended = []
        self.go = {}

    async def search(self, user_id, name):
        self.go[name] = asyncio.Event()
        async with self.searches.turn(user_id):
            self.running.append(name)
            await self.go[name].wait()
        self.ended.append(name)

    def start(self, user_id, name):
        return asyncio.create_task(self.search(user_id, name))


async def settle():
    for _ in range(9):
        await asyncio.sleep(0)


async def test_of_those_that_wait_only_the_newest_is_still_wanted():
    track = Track()
    one, two, three = [track.start(1, name) for name in ("one", "two", "three")]
    other = track.start(2, "other")
    await settle()
    assert track.running == ["one", "other"]
    with pytest.raises(SearchReplaced):
        await two
    track.go["one"].set()
    await one
    await settle()
    assert track.running == ["one", "other", "three"]
    track.go["three"].set()
    track.go["other"].set()
    await asyncio.gather(three, other)
    assert track.searches._waiting == {}


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_search_that_comes_when_another_has_just_got_its_turn_is_not_forgotten(cancelled):
    track = Track()
    one, two = track.start(1, "one"), track.start(1, "two")
    await settle()
    # In one round of the loop: the first ends, the third comes, and the second, whose turn it is by
    # then, has not run since.
    track.go["one"].set()
    three = track.start(1, "three")
    if cancelled:
        asyncio.get_running_loop().call_soon(two.cancel)
    await settle()
    if not cancelled:
        track.go["two"].set()
        await two
    await settle()
    assert track.running[-1] == "three"
    track.go["three"].set()
    await asyncio.gather(one, two, three, return_exceptions=True)
    assert track.searches._waiting == {}


@pytest.mark.parametrize("when", ["running", "waiting", "its turn has just come"])
async def test_a_cancelled_search_blocks_no_other(when):
    track = Track()
    one, two = track.start(1, "one"), track.start(1, "two")
    await settle()
    if when == "running":
        one.cancel()
    elif when == "waiting":
        two.cancel()
        await settle()
        track.go["one"].set()
    else:
        track.go["one"].set()
        while not one.done() and track.searches._waiting.get(1) is not None:
            await asyncio.sleep(0)
        two.cancel()
    await settle()
    three = track.start(1, "three")
    await settle()
    for name in ("one", "two", "three"):
        track.go[name].set()
    await asyncio.gather(one, two, three, return_exceptions=True)
    assert track.ended[-1] == "three"
    assert track.searches._waiting == {}


def test_a_hit_is_the_newest_message_with_the_most_words(storage, ann):
    def look():
        head = None
        made = Conversation.create(user=ann, title="words")
        for text in ("apples", "a pear and apples", "a PEAR, ａpples", "pears", "plums"):
            head = Message.create(conversation=made, role="user", content=text, parent=head)
        # Of another version: not shown.
        Message.create(conversation=made, role="user", content="pear apples plums")
        Conversation.update(head_id=head.id).where(Conversation.id == made.id).execute()
        looked_for = ("apples pear", "pears", "words", "plums", "pear plums apples")
        found = [search.hit(ann, str(made.id), words, 100) for words in looked_for]
        return head.id, [*found, search.hit(ann, str(made.id), "apples", 2)]

    last, found = storage.write_now(look)
    assert found == [(last - 2, 2), (last - 1, 1), (None, 0), (last, 0), (last - 2, 2), (None, 0)]


def test_every_spelling_that_is_found_has_a_hit(storage, ann):
    def look():
        missed = []
        for text, word in FOUND:
            made = say(ann, "x0", text)
            head = Message.select(Message.id).where(Message.conversation == made).scalar()
            Conversation.update(head_id=head).where(Conversation.id == made.id).execute()
            if search.hit(ann, str(made.id), word, 9) != (head, 0):
                missed.append((text, word))
        return missed

    assert storage.write_now(look) == []
