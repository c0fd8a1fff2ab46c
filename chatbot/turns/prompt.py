"""What a model gets in one turn: system prompt, history and question, with their estimates."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from chatbot.ark.chunks import CallOptions, PromptFile, PromptMessage
from chatbot.ark.memory import MemoryRequest
from chatbot.ark.tokens import PER_PAGE, PER_PICTURE, estimate_picture, estimate_tokens
from chatbot.options import Settled
from chatbot.storage import attachments
from chatbot.storage.database import Storage
from chatbot.storage.messages import Told, remembered
from chatbot.storage.turn_values import StartedTurn
from chatbot.views import Attached

HISTORY_LIMIT = 2_000
"""Most messages read to rebuild a memory. HISTORY_TOKENS is usually the lower limit."""
OLD_FILES = 8
"""Most files of earlier messages that are sent again; of the others the model gets the name."""
CONTINUE = (
    "请从你中断的地方直接往下写，不要重复已经写过的内容，也不要加任何开场白。"
    "(Continue exactly where you stopped: repeat nothing, add no introduction.)"
)


def prompt_hash(system_prompt: str, settled: Settled) -> str:
    """A hash of what must be the same for a memory to be used again."""
    parts = (_system(system_prompt, settled), settled.thinking)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Prompt:
    """The prompt of one turn. The estimates run in its transaction."""

    started: StartedTurn
    settled: Settled
    system_prompt: str
    history_tokens: int
    """HISTORY_TOKENS, the owner's limit."""

    @property
    def options(self) -> CallOptions:
        settled = self.settled
        return CallOptions(
            max_tokens=settled.max_tokens,
            thinking=settled.thinking,
            search=settled.search,
            temperature=settled.temperature,
            top_p=settled.top_p,
        )

    @property
    def system(self) -> str:
        return _system(self.system_prompt, self.settled)

    @property
    def history_room(self) -> int:
        """The most tokens of history: within the owner's limit and the model's window."""
        window = self.settled.model.window
        if window is None:
            return self.history_tokens
        fixed = estimate_tokens(self.system) + estimate_tokens(self.started.question)
        return max(min(self.history_tokens, window - self.settled.max_tokens - fixed), 0)

    def can_read_files(self) -> bool:
        """Whether the model reads all files of the question."""
        files = self._files([self.started.question_id])
        return all(file.kind in self.settled.model.inputs for file in files)

    def question_estimate(self) -> int:
        """The most tokens of what is asked now."""
        started = self.started
        if started.prefix:
            return estimate_tokens(started.prefix) + estimate_tokens(CONTINUE)
        files = self._files([started.question_id])
        return estimate_tokens(started.question) + sum(map(tokens_of, files))

    def history_estimate(self) -> int:
        """The most tokens of system prompt and history that go into a new memory."""
        started = self.started
        rows = remembered(started.before_id, HISTORY_LIMIT)
        history = sum(estimate_tokens(row.content) for row in rows)
        history += sum(map(tokens_of, self._files([row.id for row in rows])))
        so_far = 0
        if started.prefix:
            so_far = estimate_tokens(started.question) + estimate_tokens(started.prefix)
            so_far += sum(map(tokens_of, self._files([started.question_id])))
        return estimate_tokens(self.system) + min(history, self.history_room) + so_far

    async def request(self, storage: Storage) -> MemoryRequest:
        """The request to a memory."""
        started = self.started

        async def load_history() -> Sequence[PromptMessage]:
            return await storage.read(self._history)

        question = PromptMessage("user", started.question)
        if started.has_files:
            question = await storage.read(self._question)
        so_far = (question, PromptMessage("assistant", started.prefix))
        return MemoryRequest(
            model=started.model,
            system=self.system,
            question=PromptMessage("user", CONTINUE) if started.prefix else question,
            ref=started.ref,
            held_tokens=started.held_tokens or 0,
            load_history=load_history,
            begun=so_far if started.prefix else (),
            history_tokens=self.history_room,
            options=self.options,
        )

    def _question(self) -> PromptMessage:
        started = self.started
        files = attachments.contents([started.question_id]).get(started.question_id, [])
        return PromptMessage("user", started.question, tuple(map(_prompt_file, files)))

    def _history(self) -> list[PromptMessage]:
        rows = remembered(self.started.before_id, HISTORY_LIMIT)
        if not self.started.has_files:
            return [PromptMessage(row.role, row.content) for row in rows]
        listed = attachments.of_messages(row.id for row in rows)
        sent = self._sent_again(rows, listed)
        contents = attachments.contents(sent)
        return [self._old_message(row, listed.get(row.id, []), contents) for row in rows]

    def _sent_again(self, rows: Sequence[Told], listed: dict[int, list[Attached]]) -> list[int]:
        """The ids of the newest messages whose files are sent again."""
        left, room, sent = OLD_FILES, self.history_room // 2, []
        for row in reversed(rows):
            files = listed.get(row.id, [])
            left -= len(files)
            room -= sum(map(tokens_of, files))
            if left < 0 or room < 0:
                break
            if files and all(file.kind in self.settled.model.inputs for file in files):
                sent.append(row.id)
        return sent

    @staticmethod
    def _old_message(
        row: Told, listed: list[Attached], contents: dict[int, list[attachments.Stored]]
    ) -> PromptMessage:
        if row.id in contents:
            return PromptMessage(row.role, row.content, tuple(map(_prompt_file, contents[row.id])))
        names = "".join(f"\n[{file.kind}: {file.name}]" for file in listed)
        return PromptMessage(row.role, row.content + names)

    def _files(self, message_ids: list[int]) -> list[Attached]:
        if not self.started.has_files:
            return []
        listed = attachments.of_messages(message_ids)
        return [file for files in listed.values() for file in files]


def tokens_of(file: Attached | attachments.Stored) -> int:
    """The most prompt tokens of a file."""
    if file.kind == "image":
        return estimate_picture(file.width, file.height)
    return file.pages * PER_PAGE + PER_PICTURE


def _prompt_file(file: attachments.Stored) -> PromptFile:
    return PromptFile(file.kind, file.type, file.name, file.data, tokens_of(file))


def _system(system_prompt: str, settled: Settled) -> str:
    own = settled.instructions.strip()
    return f"{system_prompt}\n\n{own}" if own else system_prompt
