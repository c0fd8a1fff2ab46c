"""What the local Ark says: scripted replies, chosen by the last message and its history.

No model runs here. A reply in Chinese answers a message in Chinese, anything about "what
I said" is read from the messages the caller really gave, and texts come out in small
pieces, as a model would write them.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline import showcase
from chatbot.ark.offline.usage import WIDE, attached, text_of

# Leading whitespace stays with the word after it, so indentation is never torn apart;
# 24 caps a run without any space, such as a long URL.
PIECE = re.compile(rf"\s*(?:[{WIDE}]{{1,3}}|[^\s{WIDE}]{{1,24}})|\s+")
CHINESE = re.compile("[\u3400-\u9fff]")

FIRST = re.compile(
    r"what (?:did i|was the first thing i|have i) (?:say|said|ask|asked|write)?\s*(?:to you )?first"
    r"|what was (?:the first thing i said|my first (?:message|question|sentence))"
    r"|我(?:的)?第一(?:句话?|个问题|条消息)|我(?:最初|最开始|一开始|首先)(?:说|问)",
    re.IGNORECASE,
)
LAST = re.compile(
    r"what did i (?:just )?(?:say|ask|write)(?: last| before| just now)"
    r"|what (?:did i just (?:say|ask)|was my (?:last|previous) (?:message|question|sentence))"
    r"|上一(?:句|条|个问题)|我刚才?(?:说|问)",
    re.IGNORECASE,
)
ASK_NAME = re.compile(
    r"(?:what(?:'s| is|’s)|do you (?:know|remember)) my name|who am i\b"
    r"|我(?:叫什么|是谁)|我的名字(?:是什么|叫什么|呢)|(?:记得|知道)我(?:的名字|叫)",
    re.IGNORECASE,
)
TELL_NAME = re.compile(
    r"(?i:my name is)\s+([\w'’\-]+(?: [A-Z][\w'’\-]+)*)"
    r"|(?:我叫|我的名字(?:叫|是))\s*([\w·]{1,20}?)(?=[，。！？,.!?\s]|$)"
)
PICTURE = re.compile(r"\b(?:picture|image|photo|pdf|file)s?\b|图|照片|文件", re.IGNORECASE)
GO_ON = re.compile(r"continue exactly where you stopped|从你中断的地方", re.IGNORECASE)
COUNT = re.compile(r"count\s+(?:to\s+)?(\d{1,6})\s*$", re.IGNORECASE)
ECHO = re.compile(r"echo: ?(.*)", re.IGNORECASE | re.DOTALL)

POLITE = re.compile(
    r"^(?:(?:please|show|give|write|me|a|an|some|the|try|with|you)\s+)+"
    r"|^(?:请|帮我|给我|给|我要|我想看|来|写|展示|显示|看看|看|试试|一|个|段|张|份|篇|点|下)+"
    r"|(?:\s+(?:answer|reply|block|example|sample|please|text))+$"
    r"|(?:的?(?:例子|示例|回答|回复|文字|文章|文|一下|一点|看看|吧))+$",
    re.IGNORECASE,
)
TOPICS = {
    "long": "long", "长": "long", "长篇": "long",
    "code": "code", "python": "code", "代码": "code",
    "formula": "formula", "math": "formula", "formulas": "formula", "公式": "formula",
    "table": "table", "表格": "table", "表": "table",
    "think": "think", "thinking": "think", "思考": "think", "想想": "think",
    "emoji": "emoji", "表情": "emoji",
    "arabic": "arabic", "rtl": "arabic", "阿拉伯语": "arabic",
}  # fmt: skip

# Enough of a hint in a longer request, such as "compare tea and coffee in a table".
MENTIONED = re.compile(r"\b(?:code|formula|table)\b|代码|公式|表格", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """What is said, and what is thought before it."""

    content: str
    reasoning: str = ""


def reply_to(messages: list[dict[str, Any]]) -> Reply:
    """The reply to the last message, given everything before it."""
    asked = text_of(messages[-1].get("content")) if messages else ""
    before = messages[:-1]
    chinese = is_chinese(asked)
    if GO_ON.search(asked) and len(before) > 1:
        whole = reply_to(before[:-1]).content
        return Reply(whole.removeprefix(text_of(before[-1].get("content"))))
    if asked.strip() == "recall":
        return Reply(recall(before))
    if echo := ECHO.match(asked):
        return Reply(echo.group(1))
    if count := COUNT.match(asked.strip()):
        return Reply(" ".join(map(str, range(1, int(count.group(1)) + 1))))
    if described := describe(messages[-1:], chinese):
        return Reply(described)
    remembered = answer_from_memory(asked, before, chinese)
    if remembered is not None:
        return Reply(remembered)
    if PICTURE.search(asked) and (described := describe(before, chinese)):
        return Reply(described)
    language = "zh" if chinese else "en"
    mentioned = MENTIONED.search(asked)
    topic = TOPICS.get(subject(asked)) or TOPICS.get(mentioned[0].lower() if mentioned else "", "")
    if topic == "think":
        return Reply(showcase.THINK[language], showcase.THOUGHT[language])
    return Reply(showcase.TEXTS.get(topic, showcase.HELP)[language])


def is_chinese(text: str) -> bool:
    return bool(CHINESE.search(text))


def is_command(asked: str) -> bool:
    """Whether the script does exactly what it is told, whatever is in the text."""
    told = asked.strip()
    return bool(told == "recall" or ECHO.match(asked) or COUNT.match(told) or GO_ON.search(asked))


def thought_about(asked: str) -> str:
    """A line of thought for a caller who switched thinking on with a message of any kind."""
    return showcase.ASIDE["zh" if is_chinese(asked) else "en"]


def more_thoughts(asked: str, effort: str) -> str:
    """What is thought in addition when an effort is asked for: the higher it is, the longer."""
    step = showcase.STEP["zh" if is_chinese(asked) else "en"]
    last = {"low": 1, "medium": 3}.get(effort, 6)
    return "".join(step.format(number=number) for number in range(1, last + 1))


def recall(messages: list[dict[str, Any]]) -> str:
    """All the model was given, as JSON, to compare its memory with what a page shows."""
    pairs = [[message["role"], text_of(message.get("content"))] for message in messages]
    return json.dumps(pairs, ensure_ascii=False)


def answer_from_memory(asked: str, before: list[dict[str, Any]], chinese: bool) -> str | None:
    said = [text_of(m.get("content")) for m in before if m.get("role") == "user"]
    if FIRST.search(asked):
        return quote(said[:1], "第一句话", "first message", chinese)
    if LAST.search(asked):
        return quote(said[-1:], "上一句话", "previous message", chinese)
    if ASK_NAME.search(asked):
        names = [name for text in said if (name := told_name(text))]
        if not names:
            return (
                "你还没有告诉我你的名字。试试说“我叫小明”，再问我一次。"
                if chinese
                else "You have not told me your name yet. Say “my name is Ada”, then ask again."
            )
        return f"你叫{names[-1]}。" if chinese else f"Your name is {names[-1]}."
    if name := told_name(asked):
        return (
            f"你好，{name}！我记住了，稍后可以问我“我叫什么”。"
            if chinese
            else f"Nice to meet you, {name}! I will remember: ask me “what is my name?” later."
        )
    return None


def describe(messages: list[dict[str, Any]], chinese: bool) -> str:
    """What the pictures and files of the last message that has any look like, "" without any."""
    all_seen = [seen for m in messages if (seen := attached(m.get("content")))]
    if not all_seen:
        return ""
    names = [seen.chinese if chinese else seen.english for seen in all_seen[-1]]
    start, end = showcase.SEEN["zh" if chinese else "en"]
    if len(names) == 1:
        stop = "。" if chinese else "."
        return f"{start}{'' if chinese else ' '}{names[0]}{stop}\n\n{end}"
    colon = "：" if chinese else ":"
    return f"{start}{colon}\n\n" + "".join(f"- {name}\n" for name in names) + f"\n{end}"


def quote(said: list[str], what_zh: str, what_en: str, chinese: bool) -> str:
    if not said:
        return (
            "在这之前你还没有说过话，这就是第一句。"
            if chinese
            else "You have not said anything before this message; it is your first one."
        )
    text = said[0]
    return f"你的{what_zh}是：“{text}”" if chinese else f"Your {what_en} was: “{text}”"


def told_name(text: str) -> str:
    if ASK_NAME.search(text) or not (match := TELL_NAME.search(text)):
        return ""
    return (match.group(1) or match.group(2)).strip()


def subject(asked: str) -> str:
    """The word left of "please show me a table" or "来一段代码吧", in lower case."""
    text = asked.strip().strip("。.!！?？~～ ").lower()
    if text in TOPICS:
        return text
    return POLITE.sub("", text).strip()


def pieces(text: str) -> list[str]:
    """The text as a model would stream it: a word or up to three characters at a time.

    Joined, the pieces are the text again, to the character.
    """
    return PIECE.findall(text)
