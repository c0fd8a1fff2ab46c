"""Accounts on a SQLite file: names, passwords, logins, invitations, the throttle."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import bcrypt
import pytest

from chatbot.accounts import Accounts, Person
from chatbot.accounts.passwords import COMMON_PASSWORDS
from chatbot.clock import now
from chatbot.errors import (
    BadName,
    BadPassword,
    InvitationRefused,
    LoginRefused,
    NameTaken,
    RegistrationClosed,
    StorageUnavailable,
    TooManyAttempts,
)
from chatbot.storage.database import Storage
from chatbot.storage.tables import Attempt, Invitation, Login, User
from tests.conftest import SettableClock

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HERE = "192.0.2.1"
ELSEWHERE = "198.51.100.7"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def accounts_on(storage: Storage, registration="open") -> Accounts:
    return Accounts(
        storage, registration=registration, login_days=7, login_max_days=30, bcrypt_cost=4
    )


@pytest.fixture
async def accounts(storage: Storage) -> AsyncIterator[Accounts]:
    made = accounts_on(storage)
    yield made
    await made.close()


@pytest.fixture
async def by_invitation(storage: Storage) -> AsyncIterator[Accounts]:
    made = accounts_on(storage, "invite")
    yield made
    await made.close()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that bcrypt has compared a password with."""
    compared = []
    checkpw = bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        compared.append(hashed)
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return compared


def fail(storage: Storage, subject: str, times: int, ago: timedelta = timedelta()) -> None:
    """Put failures into the table, as if they had happened some time ago."""
    rows = [{"subject": subject, "at": storage.clock() - ago}] * times
    storage.write_now(Attempt.insert_many(rows).execute)


@pytest.fixture
def standing(clock: SettableClock) -> SettableClock:
    """Time stands still for the app, so that a busy machine makes nobody wait less."""
    clock.at = now()
    return clock


def failures(storage: Storage, subject: str) -> int:
    return storage.write_now(Attempt.select().where(Attempt.subject == subject).count)


def count(storage: Storage, table) -> int:
    return storage.write_now(table.select().count)


def outcomes(results: list) -> dict[str, int]:
    names = ["token" if isinstance(result, str) else type(result).__name__ for result in results]
    return {name: names.count(name) for name in names}


# Names


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Ann", "Ann"),
        ("  Ann Lee\n", "Ann Lee"),
        ("Ann \u3000 Lee", "Ann Lee"),
        ("李雷", "李雷"),
        ("محمد", "محمد"),
        ("می\u200cروم", "می\u200cروم"),
        ("क्षत्रिय", "क्षत्रिय"),
        ("Nguye\u0302\u0303n", "Nguyễn"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("❤\ufe0f❤\ufe0f", "❤\ufe0f❤\ufe0f"),
        ("<b>x</b>", "<b>x</b>"),
        ("x" * 32, "x" * 32),
    ],
)
async def test_a_name_may_be_in_any_script(accounts, typed, shown):
    token = await accounts.register(typed, PASSWORD, "", HERE)
    assert (await accounts.person(token)).name == shown
    assert await accounts.log_in(typed, PASSWORD, HERE)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "x",
        " x ",
        "x" * 33,
        "ab" + " " * 3000 + "cd",
        "\u0301" * 20_000,
        "a\tb",
        "a\nb",
        "a\u0000b",
        "a\u202eb",  # writes the rest backwards
        "a\u200bb",  # zero width space
        "a\u2028b",  # line separator
        "a\ue000b",  # private use
        "a\U000e0fffb",  # unassigned
        "a\ud800b",  # half a character
        "x\u200d",  # one visible character
        "\u3164\u3164",  # fillers
        "\u2800\u2800\u2800",  # blanks of Braille
        "\u0301ab",  # begins with a mark
        "ﷺ" * 32,  # grows eighteenfold when normalized
    ],
)
async def test_a_bad_name_is_refused(accounts, storage, typed):
    with pytest.raises(BadName):
        await accounts.register(typed, PASSWORD, "", HERE)
    with pytest.raises(LoginRefused):
        await accounts.log_in(typed, PASSWORD, HERE)
    assert count(storage, User) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ann", "aNN"),
        ("Ann", "  Ann "),
        ("Ann Lee", "Ann\u00a0\u00a0Lee"),
        ("Straße", "STRASSE"),
        ("Ann", "Ａｎｎ"),
        ("José", "Jose\u0301"),
        ("admin", "ad\u200dmin"),
        ("admin", "ad\u115fmin"),
        ("❤❤", "❤\ufe0f❤"),
        ("ΣΣΣ", "σσς"),
    ],
)
async def test_a_name_that_looks_the_same_is_taken(accounts, first, second):
    await accounts.register(first, PASSWORD, "", HERE)
    with pytest.raises(NameTaken):
        await accounts.register(second, PASSWORD, "", HERE)
    assert await accounts.log_in(second, PASSWORD, HERE)


async def test_of_two_who_register_a_name_at_once_one_wins(accounts, storage):
    results = await asyncio.gather(
        accounts.register("Ann", "ann's first", "", HERE),
        accounts.register("ANN", "ann's second", "", ELSEWHERE),
        return_exceptions=True,
    )
    assert outcomes(results) == {"token": 1, "NameTaken": 1}
    assert (count(storage, User), count(storage, Login)) == (1, 1)


# Passwords


@pytest.mark.parametrize(
    "password",
    [
        "",
        "1234567",
        "xy" * 64 + "z",
        "ﷺ" * 8,  # 144 characters when normalized
        "xy" * 9999,
        "abcdef\ud800gh",
        "zzzzzzzzz",
        "12345678",
        "PassWord1",
        "a123456789",
        "ａ１２３４５６７８９",
        "woaini1314",
        "5201314520",
    ],
)
async def test_a_bad_password_is_refused(accounts, storage, password):
    with pytest.raises(BadPassword):
        await accounts.register("Ann", password, "", HERE)
    assert count(storage, User) == 0


@pytest.mark.parametrize(
    "password",
    ["seven 7 ", "  spaces  ", "密码不告诉你们啊", "🔑🔒🗝🔐🔑🔒🗝🔐", "xy" * 64, "nul\0inside"],
)
async def test_a_password_may_hold_any_characters(accounts, password):
    await accounts.register("Ann", password, "", HERE)
    assert await accounts.log_in("Ann", password, HERE)
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", password[:-1] + "x", HERE)


async def test_passwords_that_differ_after_72_bytes_differ(accounts):
    await accounts.register("Ann", "xy" * 60 + "one", "", HERE)
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", "xy" * 60 + "two", HERE)


async def test_a_password_typed_on_another_keyboard_is_the_same(accounts):
    await accounts.register("Ann", "cafe\u0301 １２３４", "", HERE)
    assert await accounts.log_in("Ann", "café 1234", HERE)


@pytest.mark.parametrize("password", ["half\ud800character", "\u0301\u0323" * 50_000, "x" * 10**6])
async def test_an_impossible_password_is_wrong_like_any_other(accounts, password):
    await accounts.register("Ann", PASSWORD, "", HERE)
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", password, HERE)


def test_every_common_password_is_long_enough_to_matter():
    assert len(COMMON_PASSWORDS) > 100
    assert [word for word in COMMON_PASSWORDS if len(word) < 8 or word != word.casefold()] == []


async def test_nothing_secret_is_stored_in_clear(by_invitation, tmp_path):
    code = await by_invitation.invite(uses=1, days=1)
    first = await by_invitation.register("Ann", PASSWORD, code, HERE)
    second = await by_invitation.log_in("Ann", PASSWORD, HERE)
    person = await by_invitation.person(second)
    await by_invitation.change_password(person, PASSWORD, "another horse", second)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Ann" in stored
    for secret in (code, first, second, PASSWORD, "another horse"):
        assert secret.encode() not in stored


# Logging in


async def test_who_registers_is_logged_in(accounts):
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    assert await accounts.person(token) == Person(id=1, name="Ann", is_admin=False)


async def test_every_login_has_its_own_token(accounts):
    await accounts.register("Ann", PASSWORD, "", HERE)
    first = await accounts.log_in("Ann", PASSWORD, HERE)
    second = await accounts.log_in("Ann", PASSWORD, HERE)
    await accounts.log_out(first)
    assert await accounts.person(first) is None
    assert (await accounts.person(second)).name == "Ann"


@pytest.mark.parametrize("token", [None, "", "unknown", "x" * 10_000, "\ud800"])
async def test_an_unknown_token_has_no_person(accounts, token):
    await accounts.register("Ann", PASSWORD, "", HERE)
    assert await accounts.person(token) is None


async def test_the_hash_of_a_token_is_no_token(accounts, storage):
    await accounts.register("Ann", PASSWORD, "", HERE)
    stored = storage.write_now(Login.get).token_hash
    assert await accounts.person(stored) is None


@pytest.mark.parametrize("name", ["Ann", "Nobody", "Disabled", "", "x" * 99])
async def test_every_refused_login_looks_and_costs_the_same(accounts, storage, checks, name):
    await accounts.register("Ann", PASSWORD, "", HERE)
    await accounts.register("Disabled", PASSWORD, "", HERE)
    disable = User.update(disabled_at=now()).where(User.name == "Disabled")
    storage.write_now(disable.execute)
    password = PASSWORD if name == "Disabled" else "wrong horse"
    with pytest.raises(LoginRefused) as refused:
        await accounts.log_in(name, password, HERE)
    assert str(refused.value) == "Name or password is wrong."
    # One comparison, with a complete hash of the same cost.
    assert [(hashed[:7], len(hashed)) for hashed in checks] == [(b"$2b$04$", 60)]


async def test_bcrypt_never_runs_on_the_event_loop(accounts, monkeypatch):
    threads = set()

    def noting(work):
        def noted(*args):
            threads.add(threading.current_thread())
            return work(*args)

        return noted

    monkeypatch.setattr(bcrypt, "hashpw", noting(bcrypt.hashpw))
    monkeypatch.setattr(bcrypt, "checkpw", noting(bcrypt.checkpw))
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    await accounts.log_in("Ann", PASSWORD, HERE)
    await accounts.change_password(await accounts.person(token), PASSWORD, "another horse", token)
    assert threads
    assert all(thread.name.startswith("bcrypt") for thread in threads)


@pytest.mark.parametrize("change", [{"password_hash": "changed"}, {"disabled_at": now()}])
async def test_an_account_that_changes_during_a_login_refuses_it(
    accounts, storage, monkeypatch, change
):
    await accounts.register("Ann", PASSWORD, "", HERE)

    def meanwhile(password: bytes, hashed: bytes) -> bool:
        storage.write_now(User.update(**change).execute)
        return True

    monkeypatch.setattr(bcrypt, "checkpw", meanwhile)
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", PASSWORD, HERE)
    assert count(storage, Login) == 1


async def test_a_disabled_account_is_logged_out_at_once(accounts, storage):
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    storage.write_now(User.update(disabled_at=now()).execute)
    assert await accounts.person(token) is None


async def test_a_login_ends_when_it_expires(accounts, storage):
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    storage.write_now(Login.update(expires_at=now()).execute)
    assert await accounts.person(token) is None
    await accounts.log_in("Ann", PASSWORD, HERE)
    assert count(storage, Login) == 1  # the old one is gone


async def test_a_login_in_use_is_renewed_once_an_hour(storage):
    accounts = accounts_on(storage)
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    hours_ago, soon = now() - timedelta(hours=2), now() + timedelta(minutes=5)
    storage.write_now(Login.update(seen_at=hours_ago, expires_at=soon).execute)
    note = "INSERT INTO attempt (subject, at) VALUES ('renewal', 0)"
    trigger = f"CREATE TRIGGER noting AFTER UPDATE ON login BEGIN {note}; END"
    storage.write_now(storage.database.execute_sql, trigger)
    await asyncio.gather(*[accounts.person(token) for _ in range(5)])
    await accounts.close()
    assert failures(storage, "renewal") == 1
    login = storage.write_now(Login.get)
    assert login.seen_at > hours_ago
    assert login.expires_at > now() + timedelta(days=6)


async def test_a_login_in_use_ends_all_the_same(storage):
    accounts = accounts_on(storage)
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    made, seen = now() - timedelta(days=28), now() - timedelta(hours=2)
    storage.write_now(Login.update(created_at=made, seen_at=seen).execute)
    await accounts.person(token)
    await accounts.close()
    assert storage.write_now(Login.get).expires_at == made + timedelta(days=30)


async def test_a_login_seen_lately_costs_one_query(storage, caplog):
    accounts = accounts_on(storage)
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    with caplog.at_level(logging.DEBUG, logger="peewee"):
        await accounts.person(token)
        await accounts.close()
    queries = [record.msg[0] for record in caplog.records if record.name == "peewee"]
    assert [query.split()[0] for query in queries] == ["SELECT"]


async def test_a_login_is_answered_although_it_cannot_be_renewed(storage, monkeypatch):
    accounts = accounts_on(storage)
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    storage.write_now(Login.update(seen_at=now() - timedelta(hours=2)).execute)
    tried = []

    async def full(*work: object) -> None:
        tried.append(work)
        raise StorageUnavailable()

    monkeypatch.setattr(storage, "write", full)
    assert (await accounts.person(token)).name == "Ann"
    await accounts.close()
    assert len(tried) == 1


# Changing the password


async def test_a_new_password_ends_the_other_logins(accounts, storage):
    bob = await accounts.register("Bob", PASSWORD, "", HERE)
    other = await accounts.register("Ann", PASSWORD, "", HERE)
    token = await accounts.log_in("Ann", PASSWORD, HERE)
    await accounts.change_password(await accounts.person(token), PASSWORD, "another horse", token)
    assert await accounts.person(other) is None
    assert (await accounts.person(token)).name == "Ann"
    assert await accounts.log_in("Ann", "another horse", HERE)
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", PASSWORD, HERE)
    assert (await accounts.person(bob)).name == "Bob"
    assert await accounts.log_in("Bob", PASSWORD, HERE)


async def test_a_password_is_not_changed_by_who_does_not_know_it(accounts):
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    ann = await accounts.person(token)
    guesses = [
        accounts.change_password(ann, f"guess {n}", "another horse", token) for n in range(9)
    ]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert outcomes(results) == {"LoginRefused": 5, "TooManyAttempts": 4}


async def test_a_new_password_has_to_be_a_good_one(accounts):
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    with pytest.raises(BadPassword):
        await accounts.change_password(await accounts.person(token), PASSWORD, "12345678", token)


async def test_of_two_changes_at_once_one_wins(accounts):
    token = await accounts.register("Ann", PASSWORD, "", HERE)
    ann = await accounts.person(token)
    results = await asyncio.gather(
        accounts.change_password(ann, PASSWORD, "first horse", token),
        accounts.change_password(ann, PASSWORD, "second horse", token),
        return_exceptions=True,
    )
    assert sorted(map(type, results), key=str) == [type(None), LoginRefused]


# Invitations


async def test_nobody_registers_where_it_is_closed(storage):
    accounts = accounts_on(storage, "closed")
    code = await accounts.invite(uses=1, days=1)
    with pytest.raises(RegistrationClosed):
        await accounts.register("Ann", PASSWORD, code, HERE)
    await accounts.close()


async def test_a_forgotten_invitation_does_not_count_as_an_attempt(by_invitation, storage):
    with pytest.raises(InvitationRefused):
        await by_invitation.register("Ann", PASSWORD, " ", HERE)
    assert count(storage, Attempt) == 0


@pytest.mark.parametrize("code", ["", "  ", "unknown", "\ud800"])
async def test_a_bad_invitation_is_refused(by_invitation, storage, code):
    await by_invitation.invite(uses=1, days=1)
    with pytest.raises(InvitationRefused):
        await by_invitation.register("Ann", PASSWORD, code, HERE)
    assert count(storage, User) == 0


async def test_an_expired_invitation_is_refused(by_invitation, storage):
    code = await by_invitation.invite(uses=1, days=0)
    with pytest.raises(InvitationRefused):
        await by_invitation.register("Ann", PASSWORD, code, HERE)
    assert count(storage, User) == 0


async def test_an_invitation_for_one_lets_one_of_five_in(by_invitation, storage):
    code = await by_invitation.invite(uses=1, days=1)
    guests = [by_invitation.register(f"Guest {n}", PASSWORD, code, HERE) for n in range(5)]
    results = await asyncio.gather(*guests, return_exceptions=True)
    assert outcomes(results) == {"token": 1, "InvitationRefused": 4}
    assert (count(storage, User), count(storage, Login)) == (1, 1)
    assert storage.write_now(Invitation.get).uses_left == 0


async def test_a_name_that_is_taken_uses_up_no_invitation(by_invitation, storage):
    code = await by_invitation.invite(uses=2, days=1)
    await by_invitation.register("Ann", PASSWORD, code, HERE)
    with pytest.raises(NameTaken):
        await by_invitation.register("Ann", PASSWORD, code, HERE)
    assert await by_invitation.register("Bob", PASSWORD, f" {code}\n", HERE)
    assert storage.write_now(Invitation.get).uses_left == 0


async def test_without_an_invitation_a_name_cannot_be_probed(by_invitation):
    code = await by_invitation.invite(uses=1, days=1)
    await by_invitation.register("Ann", PASSWORD, code, HERE)
    with pytest.raises(InvitationRefused):
        await by_invitation.register("Ann", PASSWORD, "unknown", HERE)


# The throttle


async def test_of_fifty_wrong_passwords_at_once_five_are_tried(accounts, checks, standing):
    await accounts.register("Ann", PASSWORD, "", HERE)
    guesses = [accounts.log_in("Ann", f"guess {n}", f"192.0.2.{n}") for n in range(50)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert outcomes(results) == {"LoginRefused": 5, "TooManyAttempts": 45}
    assert len(checks) == 5


@pytest.mark.parametrize(
    ("subject", "times", "seconds"),
    [
        ("account:ann", 5, 2),
        ("account:ann", 6, 4),
        ("account:ann", 11, 128),
        ("account:ann", 13, 300),
        ("account:ann", 5000, 300),
        (f"address:{HERE}", 20, 2),
        (f"address:{HERE}", 22, 8),
        (f"address:{HERE}", 5000, 60),
    ],
)
async def test_the_wait_grows_up_to_a_limit_and_passes(
    accounts, storage, checks, standing, subject, times, seconds
):
    await accounts.register("Ann", PASSWORD, "", ELSEWHERE)
    fail(storage, subject, times)
    for waited in (0, 1, seconds - 1):
        standing.ahead = timedelta(seconds=waited)
        with pytest.raises(TooManyAttempts) as refused:
            await accounts.log_in("Ann", PASSWORD, HERE)
        assert refused.value.values["seconds"] == seconds - waited
    assert checks == []
    standing.ahead = timedelta(seconds=seconds)
    assert await accounts.log_in("Ann", PASSWORD, HERE)


@pytest.mark.parametrize(
    ("subject", "times"),
    [
        ("account:ann", 4),
        ("account:bob", 99),
        (f"address:{HERE}", 19),
        (f"address:{ELSEWHERE}", 99),
        (f"register:{HERE}", 99),
    ],
)
async def test_other_or_few_failures_do_not_matter(accounts, storage, subject, times):
    await accounts.register("Ann", PASSWORD, "", ELSEWHERE)
    fail(storage, subject, times)
    assert await accounts.log_in("Ann", PASSWORD, HERE)


async def test_being_turned_away_does_not_make_the_wait_longer(accounts, storage, standing):
    fail(storage, "account:ann", 5)
    for _ in range(3):
        with pytest.raises(TooManyAttempts):
            await accounts.log_in("Ann", PASSWORD, HERE)
    assert failures(storage, "account:ann") == 5
    assert failures(storage, f"address:{HERE}") == 0


async def test_a_login_clears_its_account_but_not_its_address(accounts, storage):
    await accounts.register("Ann", PASSWORD, "", HERE)
    for _ in range(4):
        with pytest.raises(LoginRefused):
            await accounts.log_in("Ann", "wrong horse", HERE)
    await accounts.log_in("Ann", PASSWORD, HERE)
    assert failures(storage, "account:ann") == 0
    assert failures(storage, f"address:{HERE}") == 4


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("no address" * 99, "no address" * 99, True),
    ],
)
async def test_an_address_is_what_one_customer_gets(accounts, storage, first, second, shared):
    for n in range(20):
        with pytest.raises(LoginRefused):
            await accounts.log_in(f"Nobody {n}", PASSWORD, first)
    with pytest.raises(TooManyAttempts if shared else LoginRefused):
        await accounts.log_in("Nobody else", PASSWORD, second)
    longest = max(len(attempt.subject) for attempt in storage.write_now(list, Attempt.select()))
    assert longest <= Attempt.subject.max_length


async def test_one_address_makes_only_so_many_accounts(accounts, storage):
    makers = [accounts.register(f"Robot {n}", PASSWORD, "", HERE) for n in range(30)]
    results = await asyncio.gather(*makers, return_exceptions=True)
    assert outcomes(results) == {"token": 20, "TooManyAttempts": 10}
    assert await accounts.register("Ann", PASSWORD, "", ELSEWHERE)


async def test_a_whole_class_registers_with_one_invitation(by_invitation):
    code = await by_invitation.invite(uses=30, days=1)
    for n in range(30):
        await by_invitation.register(f"Pupil {n}", PASSWORD, code, HERE)


async def test_invitations_cannot_be_guessed_without_end(by_invitation):
    guesses = [by_invitation.register("Ann", PASSWORD, f"guess {n}", HERE) for n in range(30)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert outcomes(results) == {"InvitationRefused": 20, "TooManyAttempts": 10}


async def test_old_failures_are_forgotten(accounts, storage):
    await accounts.register("Ann", PASSWORD, "", HERE)
    fail(storage, "account:ann", 99, ago=timedelta(minutes=15))
    fail(storage, "account:gone", 99, ago=timedelta(minutes=15))
    assert await accounts.log_in("Ann", PASSWORD, HERE)
    assert failures(storage, "account:gone") == 0
