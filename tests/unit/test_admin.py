"""What an admin can look up and do, on SQLite and on PostgreSQL."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from chatbot.accounts import Accounts
from chatbot.admin import Admin
from chatbot.bootstrap import create_app
from chatbot.clock import now
from chatbot.config import Settings
from chatbot.errors import (
    BadInput,
    BadName,
    BadPassword,
    BadSettings,
    InvitationRefused,
    LoginRefused,
    NameTaken,
    Paused,
)
from chatbot.storage import conversations, turns
from chatbot.storage.database import Storage
from chatbot.storage.tables import Conversation, Invitation, Login, State, Turn, User
from chatbot.storage.turn_values import Send, TurnOptions
from chatbot.turns.purse import Purse
from chatbot.usage import Used
from tests.conftest import NO_LIMITS, models_of

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HERE = "192.0.2.1"
SHANGHAI = ZoneInfo("Asia/Shanghai")
BUDGET = replace(NO_LIMITS, zone=SHANGHAI)
NOBODY = 999


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
async def accounts(storage: Storage) -> AsyncIterator[Accounts]:
    made = Accounts(storage, registration="invite", login_days=7, login_max_days=30, bcrypt_cost=4)
    yield made
    await made.close()


@pytest.fixture
def admin(storage: Storage, accounts: Accounts) -> Admin:
    return Admin(storage, accounts, BUDGET, models_of("ep-test"))


async def joined(admin: Admin, name: str) -> int:
    await admin.add_person(name, PASSWORD)
    return await admin.id_of(name)


async def row_of(admin: Admin, name: str):
    [row] = [row for row in await admin.people() if row.name == name]
    return row


def midnight(days_ago: int = 0) -> datetime:
    """When a day began in Shanghai, which has no summer time."""
    today = datetime.now(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def used(user_id: int | None, at: datetime, **more: object) -> None:
    """A turn that has used something."""
    numbers = {"prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 10}
    spent = {"micro_yuan": 7, "saved_micro_yuan": 3, "state": State.COMPLETE}
    Turn.create(user=user_id, started_at=at, model="ep", **numbers | spent | more)


def ended(user_id: int, **values: object) -> None:
    """A turn that has used nothing, in a conversation of its own."""
    Turn.create(user=user_id, conversation=Conversation.create(user=user_id), **values)


# People


async def test_people_are_shown_with_what_they_used(admin, storage):
    ann, bob = await joined(admin, "Ann"), await joined(admin, "Bob")
    await admin.set_limit(bob, 5000)
    hour_ago = now() - timedelta(hours=1)

    def work():
        used(ann, BUDGET.day(now()), micro_yuan=5)
        used(ann, now(), prompt_tokens=1, completion_tokens=2)
        used(ann, BUDGET.day(now()) - timedelta(milliseconds=1), micro_yuan=100)
        used(ann, BUDGET.month(now()) - timedelta(milliseconds=1), micro_yuan=10_000)
        used(None, now())
        for seen in (hour_ago, hour_ago - timedelta(days=1)):
            Login.create(user=bob, token_hash=str(seen), seen_at=seen, expires_at=now())

    storage.write_now(work)
    first, second = await admin.people()
    assert (first.id, first.name, first.is_admin, first.disabled) == (ann, "Ann", False, False)
    assert (first.tokens_today, first.daily_tokens) == (113, None)
    # Yesterday may be another month.
    assert first.micro_yuan_month in (5 + 7, 5 + 7 + 100)
    assert now() - first.seen_at < timedelta(minutes=1)
    assert (second.name, second.daily_tokens, second.seen_at) == ("Bob", 5000, hour_ago)
    assert (second.tokens_today, second.micro_yuan_month) == (0, 0)


async def test_who_was_never_here_was_not_seen(admin):
    await joined(admin, "Ann")
    assert (await row_of(admin, "Ann")).seen_at is None


async def test_a_name_is_found_in_any_capitals(admin):
    ann = await joined(admin, "Ann")
    assert [await admin.id_of(name) for name in ("aNN ", "Bob", "", "\u0000")] == [
        ann, None, None, None,
    ]  # fmt: skip


async def test_somebody_disabled_is_out_at_once_and_can_be_let_in_again(admin, accounts):
    ann = await joined(admin, "Ann")
    await joined(admin, "Bob")
    token = await accounts.log_in("Ann", PASSWORD, HERE)
    other = await accounts.log_in("Bob", PASSWORD, HERE)
    await admin.set_disabled(ann, True)
    assert (await row_of(admin, "Ann")).disabled
    assert await accounts.person(token) is None
    assert await accounts.person(other) is not None
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", PASSWORD, HERE)
    await admin.set_disabled(ann, False)
    assert await accounts.person(token) is None, "an ended login stays ended"
    assert await accounts.log_in("Ann", PASSWORD, HERE)


async def test_a_reset_password_is_the_only_way_in(admin, accounts):
    ann = await joined(admin, "Ann")
    token = await accounts.log_in("Ann", PASSWORD, HERE)
    # Whoever forgot their password has guessed before they ask for help.
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await accounts.log_in("Ann", "wrong horse", HERE)
    password = await admin.reset_password(ann)
    assert await accounts.person(token) is None
    assert await accounts.log_in("Ann", password, HERE)
    with pytest.raises(LoginRefused):
        await accounts.log_in("Ann", PASSWORD, HERE)
    assert await admin.reset_password(ann) != password


async def test_a_limit_and_admin_can_be_set_and_taken_back(admin, accounts):
    ann = await joined(admin, "Ann")
    token = await accounts.log_in("Ann", PASSWORD, HERE)
    for limit in (0, 2_000_000_000, None):
        await admin.set_limit(ann, limit)
        assert (await row_of(admin, "Ann")).daily_tokens == limit
    for is_admin in (True, False):
        await admin.set_admin(ann, is_admin)
        assert (await accounts.person(token)).is_admin is is_admin


async def test_an_impossible_limit_is_refused(admin):
    ann = await joined(admin, "Ann")
    for limit in (-1, 2**31):
        with pytest.raises(BadInput):
            await admin.set_limit(ann, limit)


async def test_what_does_not_exist_cannot_be_changed(admin):
    for change in (
        admin.set_disabled(NOBODY, True),
        admin.set_limit(NOBODY, 1),
        admin.set_admin(NOBODY, True),
        admin.reset_password(NOBODY),
        admin.revoke(NOBODY),
    ):
        with pytest.raises(BadInput):
            await change


# Admins


async def test_an_admin_is_made_and_logs_in(admin, accounts):
    await admin.create_admin("Root", PASSWORD)
    token = await accounts.log_in("Root", PASSWORD, HERE)
    assert (await accounts.person(token)).is_admin


async def test_making_an_admin_twice_changes_nothing(admin, accounts):
    await admin.create_admin("Root", PASSWORD)
    await admin.create_admin("ROOT", "another horse")
    assert await accounts.log_in("Root", PASSWORD, HERE)
    assert len(await admin.people()) == 1


async def test_an_account_becomes_an_admins_with_its_own_password_only(admin):
    await joined(admin, "Ann")
    with pytest.raises(NameTaken):
        await admin.create_admin("ann", "another horse")
    assert not (await row_of(admin, "Ann")).is_admin
    await admin.create_admin("ann", PASSWORD)
    assert (await row_of(admin, "Ann")).is_admin


async def test_an_admin_needs_a_good_name_and_password(admin):
    for name, password, error in (
        ("x", PASSWORD, BadName),
        ("Root", "12345678", BadPassword),
        ("Root", "", BadPassword),
    ):
        with pytest.raises(error):
            await admin.create_admin(name, password)
    assert await admin.people() == []


def settings(tmp_path: Path, name: str, password: str | None) -> Settings:
    return Settings.from_env(
        ark_api_key=None,
        database_url=f"sqlite:///{tmp_path}/chat.db",
        bcrypt_cost=4,
        admin_name=name,
        admin_password=password,
    )


def test_the_app_makes_the_admin_of_its_settings_at_the_start(tmp_path):
    for password in (PASSWORD, None):
        app = create_app(settings(tmp_path, "Root", password))
        [root] = app.storage.write_now(list, User.select())
        app.close()
        assert (root.name, root.is_admin) == ("Root", True)


@pytest.mark.parametrize(("name", "password"), [("Root", None), ("Root", "x"), ("x", PASSWORD)])
def test_the_app_does_not_start_without_the_admin_of_its_settings(tmp_path, name, password):
    with pytest.raises(BadSettings, match=r"ADMIN_NAME, ADMIN_PASSWORD: A (name|password) has"):
        create_app(settings(tmp_path, name, password))


# Invitations


async def test_an_invitation_gives_its_limit(admin, accounts):
    code = await admin.invite(uses=2, days=1, daily_tokens=1234)
    plain = await admin.invite(uses=1, days=1, daily_tokens=None)
    await accounts.register("Ann", PASSWORD, code, HERE)
    await accounts.register("Bob", PASSWORD, plain, HERE)
    assert [row.daily_tokens for row in await admin.people()] == [1234, None]
    rows = [(row.daily_tokens, row.uses_left, row.state) for row in await admin.invitations()]
    assert rows == [(None, 0, "used"), (1234, 1, "open")]


async def test_a_revoked_invitation_is_refused(admin, accounts):
    code = await admin.invite(uses=2, days=1, daily_tokens=None)
    await accounts.register("Ann", PASSWORD, code, HERE)
    [row] = await admin.invitations()
    await admin.revoke(row.id)
    await admin.revoke(row.id)
    with pytest.raises(InvitationRefused):
        await accounts.register("Bob", PASSWORD, code, HERE)
    assert [row.state for row in await admin.invitations()] == ["revoked"]
    assert await accounts.log_in("Ann", PASSWORD, HERE)


async def test_an_old_invitation_has_expired(admin, storage):
    await admin.invite(uses=1, days=1, daily_tokens=None)
    storage.write_now(Invitation.update(expires_at=now()).execute)
    assert [row.state for row in await admin.invitations()] == ["expired"]


async def test_an_impossible_invitation_is_refused(admin):
    for terms in (
        {"uses": 0},
        {"uses": 10**9},
        {"days": 0},
        {"days": -1},
        {"days": float("nan")},
        {"days": float("inf")},
        {"daily_tokens": -1},
        {"daily_tokens": 2**31},
    ):
        with pytest.raises(BadInput):
            await admin.invite(**{"uses": 1, "days": 1, "daily_tokens": None} | terms)
    assert await admin.invitations() == []


# Figures


async def test_days_are_those_of_the_budget_and_none_is_left_out(admin, storage):
    ann, bob = await joined(admin, "Ann"), await joined(admin, "Bob")
    moment = timedelta(milliseconds=1)

    def work():
        used(ann, midnight(), completion_tokens=20)
        used(ann, now())
        used(bob, now(), state=State.STREAMING)
        used(ann, midnight() - moment)
        used(bob, midnight(3))
        used(bob, midnight(3) - moment)

    storage.write_now(work)
    rows = await admin.days(4)
    assert [row.day for row in rows] == [midnight(ago).date() for ago in (3, 2, 1, 0)]
    assert [(row.turns, row.people) for row in rows] == [(1, 1), (0, 0), (1, 1), (3, 2)]
    today = rows[-1]
    assert (today.prompt, today.cached, today.completion) == (300, 120, 40)
    assert (today.micro_yuan, today.saved_micro_yuan) == (21, 9)
    assert rows[1].micro_yuan == 0


async def test_waits_are_ranked_by_day(admin, storage):
    ann = await joined(admin, "Ann")

    def work():
        for milliseconds in range(1, 101):
            used(ann, now(), first_token_ms=milliseconds)
        used(ann, now())
        used(ann, midnight(1), first_token_ms=700)
        used(ann, midnight(2))

    storage.write_now(work)
    waits = [(row.first_token_p50, row.first_token_p95) for row in await admin.days(3)]
    assert waits == [(None, None), (700, 700), (50, 95)]


async def test_so_many_days_are_given(admin):
    for asked, got in ((-1, 0), (0, 0), (1, 1), (400, 366)):
        assert len(await admin.days(asked)) == got


async def test_figures_take_as_many_queries_for_many_people_as_for_one(admin, storage, caplog):
    async def queries() -> int:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="peewee"):
            await admin.people()
            await admin.days(90)
            await admin.errors(100)
            await admin.error_counts(90)
            await admin.storage_micro_yuan()
        texts = [str(record.msg[0]) for record in caplog.records if record.name == "peewee"]
        return len([text for text in texts if text.startswith("SELECT")])

    def work(numbers):
        for number in numbers:
            user = User.create(name=f"P{number}", name_key=f"p{number}", password_hash="x")
            failed = {"state": State.FAILED, "error": "ark_silent", "first_token_ms": 1}
            used(user.id, midnight(number), **failed)

    storage.write_now(work, range(1))
    few = await queries()
    storage.write_now(work, range(1, 40))
    assert len(await admin.people()) == 40
    assert await queries() == few


async def test_errors_are_listed_newest_first(admin, storage):
    ann, bob = await joined(admin, "Ann"), await joined(admin, "Bob")

    def work():
        old = now() - timedelta(days=3)
        ended(ann, state=State.FAILED, error="ark_silent", started_at=old)
        ended(bob, state=State.INTERRUPTED, error="stream_broken", request_id="r1")
        ended(bob, state=State.FILTERED, error="moderated", request_id="r2", finished_at=now())
        ended(ann, state=State.LENGTH, error="stream_broken")
        for fine in (State.COMPLETE, State.STOPPED, State.LENGTH, State.STREAMING):
            ended(ann, state=fine)

    storage.write_now(work)
    rows = [(row.code, row.request_id, row.name) for row in await admin.errors(3)]
    assert rows == [
        ("stream_broken", "", "Ann"),
        ("moderated", "r2", "Bob"),
        ("stream_broken", "r1", "Bob"),
    ]
    assert len(await admin.errors(100)) == 4
    assert await admin.error_counts(1) == {"stream_broken": 2, "moderated": 1}
    assert list((await admin.error_counts(9)).items()) == [
        ("stream_broken", 2), ("ark_silent", 1), ("moderated", 1),
    ]  # fmt: skip
    assert await admin.error_counts(0) == {}


async def test_only_contexts_alive_cost_storage(admin, storage):
    ann = await joined(admin, "Ann")

    def work():
        later = now() + timedelta(hours=1)
        for upto, expires_at, held, kind in (
            (True, later, 62_000, "context"),
            (True, later, 2_000, "context"),
            (True, later, 1_000_000, "responses"),
            (True, now(), 1_000_000, "context"),
            (False, later, 1_000_000, "context"),
            (True, None, 1_000_000, "context"),
        ):
            Conversation.create(
                user=ann,
                memory_upto=1 if upto else None,
                memory_expires_at=expires_at,
                memory_kind=kind,
                memory_tokens=held,
            )

    assert await admin.storage_micro_yuan() == 0
    storage.write_now(work)
    # 64,000 tokens at 0.017 yuan per million and hour.
    assert await admin.storage_micro_yuan() == 1088


# The pause


async def test_a_pause_refuses_replies_until_it_ends(admin, storage):
    ann = await joined(admin, "Ann")

    def reserve():
        conversation = conversations.start(ann)
        options = TurnOptions("ep", "chat", "", "worker", 9, 9)
        begun = turns.start(
            ann, conversation, Send("hello"), lambda _: options, lambda worker: False
        )
        Purse(BUDGET).reserve(begun, [Used(10, 0, 10)])

    assert not await admin.paused()
    for _ in range(2):
        await admin.pause(True)
        assert await admin.paused()
    with pytest.raises(Paused):
        storage.write_now(reserve)
    await admin.pause(False)
    assert not await admin.paused()
    storage.write_now(reserve)


async def test_the_setting_pauses_whatever_the_switch_says(storage, accounts):
    admin = Admin(storage, accounts, replace(BUDGET, paused=True), models_of("ep-test"))
    await admin.pause(False)
    assert await admin.paused()
