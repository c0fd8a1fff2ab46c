"""Web search: what is sent, what is shown and stored of it, what it costs, and without it."""

from dataclasses import replace
from datetime import UTC

import pytest

from chatbot.ark.client import MOST_SEARCHES
from chatbot.errors import AppBudgetUsedUp
from chatbot.sources import merged, read, source, stored
from chatbot.storage import export
from chatbot.ui.export import markdown
from chatbot.ui.found import sources_html
from chatbot.views import Source
from tests.conftest import BOUNDS, NO_LIMITS, PRICES, finished, stored_turns
from tests.fake_ark import Fault
from tests.wire.asking import SYSTEM, calls, recalled, shown

pytestmark = pytest.mark.anyio

LITE = "doubao-seed-2-1-lite-260915"
NEWS = "What is the news today?"


@pytest.fixture
def searching(open_chat):
    """Opens a chat with a session in which the model may search."""

    def opened(**more):
        return open_chat(**{"memory": "auto", "model": LITE, **more})

    return opened


async def with_search(chat):
    one = await chat.started()
    await chat.service.choose(chat.user_id, one, {"search": True})
    return one


async def test_a_search_is_asked_for_as_documented(searching, ark):
    async with searching() as chat:
        one = await with_search(chat)
        await chat.ask(one, NEWS)
        await chat.ask(one, "echo: one")
        await chat.service.choose(chat.user_id, one, {"search": False})
        await chat.ask(one, "echo: two")
    first, second, third = ark.requests
    assert first.body["tools"] == [{"type": "web_search", "max_keyword": 2, "limit": 5}]
    assert first.body["max_tool_calls"] == 2
    assert first.body.get("caching") is None, "refused beside a search"
    assert first.headers["ark-beta-web-search"] == "true"
    assert second.body["tools"] == first.body["tools"], "tools are not stored with a response"
    assert second.body["previous_response_id"]
    assert third.body.get("tools") is None
    assert third.body["previous_response_id"], "no other memory is needed without a search"
    assert "ark-beta-web-search" not in third.headers


@pytest.mark.parametrize("where", ["both", "deltas", "final", "none"])
async def test_sources_are_listed_once_wherever_they_are_told(searching, ark, where):
    ark.annotations = where
    async with searching() as chat:
        one = await with_search(chat)
        reply = await chat.ask(one, NEWS)
        assert reply.state == "complete"
        urls = [one.url for one in reply.sources]
        assert len(urls) == len(set(urls)) == (0 if where == "none" else 3)
        # The model gets the words of its answer again, not the list.
        assert await recalled(chat, one) == [SYSTEM, ("user", NEWS), ("assistant", reply.content)]


async def test_the_search_is_shown_while_it_runs(searching, ark):
    ark.pace = 0.02
    async with searching() as chat:
        one = await with_search(chat)
        started = await chat.service.send(chat.user_id, one, NEWS)
        seen = []
        async for snapshot in chat.service.follow(chat.user_id, one, started.reply_id, 0):
            if not seen or seen[-1] != snapshot.search:
                seen.append(snapshot.search)
        assert seen[-1] is None, "it has ended"
        assert NEWS.rstrip("?") in next(words for words in seen if words)


async def test_searches_are_counted_and_paid(searching, ark):
    async with searching(budget=replace(NO_LIMITS, daily_yuan=100)) as chat:
        one = await with_search(chat)
        reply = await chat.ask(one, "compare the news and the weather today")
        [turn] = await stored_turns(chat)
        assert reply.searches == turn.searches == 2
        tokens = PRICES.micro_yuan(turn.prompt_tokens, turn.cached_tokens, turn.completion_tokens)
        assert turn.micro_yuan == tokens + 2 * 4_000


async def test_a_search_that_the_budget_cannot_pay_is_not_begun(searching, ark):
    # 4 searches cost 0.016 yuan, which nothing else of this turn comes close to.
    async with searching(budget=replace(NO_LIMITS, daily_yuan=0.015)) as chat:
        one = await with_search(chat)
        with pytest.raises(AppBudgetUsedUp):
            await chat.send(one, NEWS)
        await chat.service.choose(chat.user_id, one, {"search": False})
        assert (await chat.ask(one, NEWS)).content
    assert len(ark.requests) == 1


async def test_a_cut_search_counts_with_the_most_it_can_have_used(searching, ark):
    ark.fail_next(Fault.drop(0))
    async with searching() as chat:
        one = await with_search(chat)
        await chat.ask(one, NEWS)
        [turn] = await stored_turns(chat)
        assert turn.searches == MOST_SEARCHES


async def test_a_closed_plug_in_is_told_and_the_question_answered_without(searching, ark):
    ark.search_plugin = "closed"
    async with searching() as chat:
        one = await with_search(chat)
        reply = await chat.ask(one, NEWS)
        assert (reply.state, reply.notes, reply.sources) == ("complete", ("search_closed",), ())
        assert calls(ark) == [("responses", False), ("responses", True)]
        assert ark.requests[-1].body.get("tools") is None
        [turn] = await stored_turns(chat)
        assert turn.searches == 0
        # Opened: the next question is answered with a search, and without a note.
        ark.search_plugin = "open"
        reply = await chat.ask(one, NEWS)
        assert (reply.notes, len(reply.sources)) == ((), 3)


async def test_a_model_that_takes_no_tools_answers_without_and_is_remembered(searching, ark):
    async with searching() as chat:
        one = await with_search(chat)
        ark.fail_next(Fault.http(400, "InvalidParameter", param="tools", message="not supported"))
        reply = await chat.ask(one, NEWS)
        assert (reply.state, reply.sources) == ("complete", ())
        assert reply.notes == ("search_refused",)
        assert not (await chat.service.open(chat.user_id, one, 1)).chosen.choices[0].search
        seen = len(ark.requests)
        await chat.ask(one, NEWS)
        assert calls(ark, seen) == [("responses", True)]
        assert ark.requests[-1].body.get("tools") is None


@pytest.mark.parametrize("kind", ["context", "chat"])
async def test_only_the_responses_api_is_asked_to_search(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        one = await with_search(chat)
        assert (await chat.ask(one, NEWS)).content
        assert ark.requests[-1].body.get("tools") is None
        [turn] = await stored_turns(chat)
        assert turn.searches == 0


async def test_the_owner_can_switch_the_search_off(searching, ark):
    async with searching(bounds=replace(BOUNDS, search=False)) as chat:
        one = await with_search(chat)
        assert not (await chat.service.open(chat.user_id, one, 1)).chosen.choices[0].search
        await chat.ask(one, NEWS)
        assert ark.requests[-1].body.get("tools") is None


async def test_a_reply_with_sources_can_be_answered_again_and_edited(searching, ark):
    async with searching() as chat:
        one = await with_search(chat)
        reply = await chat.ask(one, NEWS)
        await finished(await chat.regenerate(one, reply.id))
        again = (await chat.messages(one))[-1]
        assert (again.id != reply.id, len(again.sources)) == (True, 3)
        question = (await chat.messages(one))[0]
        await finished(await chat.edit(one, question.id, "echo: nothing to find"))
        edited = await chat.messages(one)
        assert shown(edited)[-1] == ("assistant", "nothing to find")
        assert edited[-1].sources == ()


async def test_exports_have_the_sources_and_what_was_chosen(searching, ark):
    async with searching() as chat:
        one = await with_search(chat)
        reply = await chat.ask(one, NEWS)
        whole = await chat.storage.read(export.account, chat.user_id)
        [session] = whole["sessions"]
        told = session["messages"][-1]
        assert [source["url"] for source in told["sources"]] == [one.url for one in reply.sources]
        assert (session["options"]["search"], told["searches"]) == (True, 1)
        assert whole["account"]["options"]["search"] is True
        thread = await chat.service.open(chat.user_id, one, 10)
        file = markdown(thread, "en", UTC)
        for source in reply.sources:
            assert f"](<{source.url}>)" in file


# Annotations, as any server may send them.

URL = "https://example.com/a"
ODD = [
    None, "text", [], {}, {"url": None}, {"url": 5}, {"url": ""}, {"url": "javascript:alert(1)"},
    {"url": "data:text/html,x"}, {"url": "ftp://example.com"}, {"url": "//example.com"},
    {"url": "https://"}, {"url": "https://a b"}, {"url": "https://a\nb"}, {"url": "https://[x"},
    {"url": "https://example.com/" + "x" * 2000},
]  # fmt: skip


@pytest.mark.parametrize("told", ODD)
async def test_what_is_no_link_to_the_web_is_left_out(told):
    assert source(told) is None


async def test_other_fields_are_cut_and_made_one_line():
    odd = {"url": URL, "title": " a\n b\0\u202e" + "x" * 999, "site_name": 5, "publish_time": None}
    found = source(odd)
    assert found.title.startswith("a b")
    assert len(found.title) == 300
    assert (found.site, found.date) == ("", "")


async def test_sources_are_merged_and_stored():
    bare, full = Source(URL, "", "", ""), Source(URL, "A", "site", "2026-10-01")
    other = Source("http://example.org", "B <b>", "", "")
    assert merged([bare, other, full]) == (full, other)
    assert read(stored((full, other))) == (full, other)
    assert (stored(()), read("")) == ("", ())
    many = [Source(f"https://example.com/{number}", "", "", "") for number in range(200)]
    assert len(merged(many)) == 50


async def test_the_list_is_safe_html():
    evil = Source('https://example.com/"onclick="x', "<img src=x>", "<b>", "2026-10-01T10:00:00")
    shown_html = sources_html([evil], "en")
    assert "<img" not in shown_html
    assert "<b>" not in shown_html
    assert 'onclick="x' not in shown_html
    assert "2026-10-01<" in shown_html
    assert 'rel="noopener noreferrer nofollow"' in shown_html
    assert sources_html([Source("https://user@evil.example/", "a", "", "")], "en") == ""
