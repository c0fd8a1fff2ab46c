"""Replies as they stream: one user at a reader's pace, one as fast as possible, and crowds."""

from collections.abc import Callable

from benchmarks.askers import Heard
from benchmarks.driver import Driven, Job, drive, ready, share
from benchmarks.server import Server
from benchmarks.sheet import Sheet, percentile
from benchmarks.stage import App, Stage
from benchmarks.work import APP, BARE, PLAIN, Scale

STEADY_PACE = 1 / 50
CROWD_PACE = 1 / 20
BRIEFLY = "count 5"
"""A question for the first token alone: a few milliseconds, which scatter, so it is asked often."""


def ark_rate(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """How fast the local Ark itself can be, heard by a client that reads nothing."""
    work = "the local Ark's own top rate"
    tokens = scale.fast * 10
    for users in (1, 4):
        stage.pace(0)
        job = Job("ear", stage.ark.url, f"count {tokens}", [{}] * users)
        for _ in range(scale.repeat):
            before = stage.ark.cpu
            heard = drive([job]).heard
            seconds = max(one.tokens[-1][0] for one in heard) - min(one.asked for one in heard)
            name = f"{users} streams" if users > 1 else "1 stream"
            sheet.add(work, "tokens per second", "1/s", name, users * tokens / seconds)
            cpu = (stage.ark.cpu - before) * 1e6 / users / tokens
            sheet.add(work, "CPU per token", "µs", name, cpu)


def one_user(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """One user and a reply at a reader's pace."""
    work = f"one user, {scale.steady} tokens at 50/s"
    for _ in range(scale.repeat):
        for name, (server, job) in three(stage, f"count {scale.steady}").items():
            add_reader(stage, sheet, work, name, server, job, scale.steady)
    for _ in range(scale.firsts):
        for name, (server, job) in three(stage, BRIEFLY).items():
            add_first_token(stage, sheet, work, name, server, job)


def add_reader(
    stage: Stage, sheet: Sheet, work: str, name: str, server: Server | None, job: Job, tokens: int
) -> None:
    """What is told of one reply at a reader's pace."""
    heard, writes, cpu = add_first_token(stage, sheet, work, name, server, job)
    delays = token_delays(heard, writes, tokens)
    sheet.add(work, "delay per token p50", "ms", name, percentile(delays, 0.5))
    sheet.add(work, "delay per token p95", "ms", name, percentile(delays, 0.95))
    sheet.add(work, "CPU per token", "ms", name, cpu * 1000 / tokens)
    sheet.add(work, "frames", "count", name, len(heard.tokens))
    if heard.bytes:
        sheet.add(work, "bytes per token", "B", name, heard.bytes / tokens)


def add_first_token(
    stage: Stage, sheet: Sheet, work: str, name: str, server: Server | None, job: Job
) -> tuple[Heard, list[float], float]:
    """The first token of one reply at a reader's pace. Returns what was heard, when Ark wrote, and
    the processor time of whoever served it."""
    with ready([job]) as ask:
        stage.pace(STEADY_PACE)
        stage.sent()
        driven, cpu = timed(ask, server)
        [sent] = stage.sent()
        stage.pace(0)
    [heard] = driven.heard
    sheet.add(work, "first token", "ms", name, (heard.at(1) - heard.asked) * 1000)
    asked = (sent["asked"] - heard.asked) * 1000
    sheet.add(work, "of it until Ark was asked", "ms", name, asked)
    return heard, sent["writes"], cpu


def timed(ask: Callable[[], Driven], server: Server | None) -> tuple[Driven, float]:
    """What was heard, and the processor time that whoever served it took."""
    before = server.cpu if server else 0
    driven = ask()
    if not driven.heard:
        raise RuntimeError("nobody got a reply")
    return driven, server.cpu - before if server else driven.cpu


def token_delays(heard: Heard, writes: list[float], tokens: int) -> list[float]:
    """Milliseconds by which each token was later than Ark's sending it."""
    # The last write is the end of the stream; a first one may come before the text.
    left = writes[-tokens - 1 : -1]
    return [(heard.at(place + 1) - at) * 1000 for place, at in enumerate(left)]


def first_question(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """The first question of a conversation, whose memory at Ark's side is made while one waits."""
    work = "first question of a conversation"
    app = stage.standing_app()
    for _ in range(scale.repeat):
        jobs = {
            BARE: Job("bare first", stage.ark_url, "count 5", [{"messages": 0}]),
            APP: Job("fresh tab", app.server.url, "count 5", [app.tab()]),
        }
        for name, job in jobs.items():
            with ready([job]) as ask:
                stage.pace(STEADY_PACE)
                driven, _ = timed(ask, None)
                stage.pace(0)
            [heard] = driven.heard
            sheet.add(work, "first token", "ms", name, (heard.at(1) - heard.asked) * 1000)


def fast(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """A long reply as fast as Ark can give it."""
    work = f"{scale.fast} tokens as fast as possible"
    for _ in range(scale.repeat):
        for name, (server, job) in three(stage, f"count {scale.fast}").items():
            with ready([job]) as ask:
                driven, cpu = timed(ask, server)
            [heard] = driven.heard
            sheet.add(work, "last token", "s", name, heard.at(scale.fast) - heard.asked)
            sheet.add(work, "CPU", "s", name, cpu)
            sheet.add(work, "frames", "count", name, len(heard.tokens))


def crowds(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """Many users at once."""
    for users in scale.crowds:
        work = f"{users} users at once, {scale.crowd_tokens} tokens at 20/s each"
        for _ in range(scale.crowd_repeat):
            for name, (server, job) in three(stage, f"count {scale.crowd_tokens}", users).items():
                with ready(share(job)) as ask:
                    stage.pace(CROWD_PACE)
                    ark = stage.ark.cpu
                    driven, cpu = timed(ask, server)
                    stage.pace(0)
                add_crowd(sheet, work, name, driven, scale.crowd_tokens)
                sheet.add(work, "server CPU", "s", name, cpu)
                sheet.add(work, "CPU of Ark", "s", name, stage.ark.cpu - ark)
                if server:
                    sheet.add(work, "CPU of the driver", "s", name, driven.cpu)


def add_crowd(sheet: Sheet, work: str, name: str, driven: Driven, tokens: int) -> None:
    """What is told of a crowd."""
    firsts = [one.at(1) - one.asked for one in driven.heard]
    lasts = [one.at(tokens) - one.asked for one in driven.heard]
    sheet.add(work, "replies that failed", "count", name, driven.failed)
    sheet.add(work, "first token p50", "s", name, percentile(firsts, 0.5))
    sheet.add(work, "first token p95", "s", name, percentile(firsts, 0.95))
    sheet.add(work, "last token p50", "s", name, percentile(lasts, 0.5))
    sheet.add(work, "last token p95", "s", name, percentile(lasts, 0.95))
    frames = sum(len(one.tokens) for one in driven.heard) / len(driven.heard)
    sheet.add(work, "frames per reply", "count", name, frames)


def three(stage: Stage, question: str, users: int = 1) -> dict[str, tuple[Server | None, Job]]:
    """The three subjects with nothing said yet. The bare SDK has no server: it is the driver."""
    plain, app = stage.standing_plain, stage.standing_app()
    return {
        BARE: (None, Job("bare", stage.ark_url, question, [{"messages": 0}] * users)),
        PLAIN: (plain, Job("tab", plain.url, question, [{"headers": {}}] * users)),
        APP: (app.server, crowd_of(app, question, users)),
    }


def crowd_of(app: App, question: str, users: int) -> Job:
    """So many people, each with an account of their own."""
    return Job("tab", app.server.url, question, [app.tab() for _ in range(users)])
