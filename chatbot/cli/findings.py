"""What `check` has found, told in the user's language."""

from dataclasses import dataclass

from chatbot.budget import UNKNOWN_PRICES
from chatbot.config import Language
from chatbot.errors import ArkError
from chatbot.errors_zh import ERRORS_ZH

MOST_WORDS = 300
"""Most characters of a service's error to print. It can only repeat our own question."""

# code: (English, Chinese)
TEXTS: dict[str, tuple[str, str]] = {
    "settings_good": ("All settings can be used.", "所有设置都可用。"),
    "database_new": (
        "Not there yet; the first start makes it.",
        "还不存在，首次启动时会创建。",
    ),
    "database_old": (
        "Can be used; the next start applies {names}.",
        "可用；下次启动时会升级：{names}。",
    ),
    "database_good": (
        "Can be used, and its schema is the newest.",
        "可用，结构已是最新。",
    ),
    "database_bad": ("{why}", "{why}"),
    "price_listed": (
        "Known for {model}, as listed on {day}.",
        "{model} 的价格已知（{day} 的价目表）。",
    ),
    "price_set": (
        "As set by PRICE_INPUT, PRICE_CACHED and PRICE_OUTPUT.",
        "按 PRICE_INPUT、PRICE_CACHED 和 PRICE_OUTPUT 的设置。",
    ),
    "price_unknown": (
        UNKNOWN_PRICES,
        "{model} 的价格未知：每个 token 都按 data/models.yaml 中最贵的价格计算。请把该模型写进这个"
        "文件，或设置 PRICE_INPUT、PRICE_CACHED 和 PRICE_OUTPUT，或在 ARK_MODEL 中写明接入点属于"
        "哪个模型（ep-…=模型 ID）。",
    ),
    "offline": (
        "Offline: without ARK_API_KEY the built-in local Ark answers.",
        "离线：没有设置 ARK_API_KEY，由应用自带的本地方舟回答。",
    ),
    "reached": ("Reached, and it takes the key.", "已连接，密钥有效。"),
    "reached_only": (
        "Reached ({status}); only --call can tell about the key.",
        "已连接（{status}）；密钥是否有效，要用 --call 才知道。",
    ),
    "no_list": ("Reached; it has no list of models.", "已连接；该服务没有模型列表。"),
    "unreachable": (
        "{address} cannot be reached ({why}).",
        "无法连接 {address}（{why}）。",
    ),
    "why_name": ("no machine of this name is known", "找不到这个域名"),
    "why_certificate": (
        "its certificate is not trusted, or it speaks plain HTTP",
        "证书不可信，或对方只支持 HTTP",
    ),
    "why_refused": (
        "the machine is there, but refuses the connection: {kind}",
        "机器在，但拒绝连接：{kind}",
    ),
    "nowhere": (
        "Reached, but {address} leads nowhere (404). Look at ARK_BASE_URL: Ark's ends in /api/v3, "
        "those of others often in /v1.",
        "已连接，但 {address} 下没有服务（404）。请检查 ARK_BASE_URL：方舟的地址以 /api/v3 结尾，"
        "其他服务大多以 /v1 结尾。",
    ),
    "out_of_order": (
        "Reached, but it is out of order ({status}).",
        "已连接，但服务出现故障（{status}）。",
    ),
    "key_refused": (
        "Reached, but it refuses the key ({status}).",
        "已连接，但密钥被拒绝（{status}）。",
    ),
    "shut_down": (
        "Ark's list of models says that {model} is shut down. Name another model in ARK_MODEL.",
        "方舟的模型列表显示 {model} 已下线。请在 ARK_MODEL 中换一个模型。",
    ),
    "retiring": (
        "Ark's list of models says that {model} is about to be shut down.",
        "方舟的模型列表显示 {model} 即将下线。",
    ),
    "answers": (
        "{model} answers, and remembers by {kind!r}.",
        "{model} 可用，会话记忆方式为 {kind!r}。",
    ),
    "not_asked": (
        "{model} was not asked: the same would happen.",
        "没有再调用 {model}：结果会一样。",
    ),
    "thinking_off": (
        "It can be told not to think: no thinking tokens.",
        "可以关闭思考：没有产生思考 token。",
    ),
    "thinking_no_switch": (
        "It takes no switch for thinking, and has not thought about this question.",
        "不接受思考开关；这个问题没有触发思考。",
    ),
    "thinking_always": (
        "It cannot be told not to think, so it is slow to begin. Take `off` out of its `thinking` "
        "in data/models.yaml.",
        "无法关闭思考，所以开始回答较慢。请在 data/models.yaml 中从它的 `thinking` 里去掉 `off`。",
    ),
    "thinking_known": (
        "It always thinks, as data/models.yaml says.",
        "总会思考，与 data/models.yaml 一致。",
    ),
    "usage_told": ("It reports its tokens.", "会返回 token 用量。"),
    "usage_missing": (
        "It does not report its tokens: budgets count the estimate, which is higher.",
        "不返回 token 用量：预算按估算值计算，会偏高。",
    ),
    "search_open": (
        "Web search is opened. Ark bills about ¥{price:g} for a thousand searches, and the pages "
        "found count as input.",
        "联网搜索已开通。每千次搜索约 ¥{price:g}，搜到的网页另计为输入 token。",
    ),
    "search_closed": (
        "Web search is not opened; the app answers without it. Open “Web content plug-in” in Ark's "
        "console under “Component library” (组件库 → 联网内容插件), or set WEB_SEARCH=false.",
        "尚未开通联网搜索，应用会不搜索直接回答。请在方舟控制台的“组件库”中开通“联网内容插件”，"
        "或设置 WEB_SEARCH=false。",
    ),
    "search_refused": (
        "It does not take the search tool. Set `search: false` for it in data/models.yaml.",
        "不接受联网搜索工具。请在 data/models.yaml 中为它设置 `search: false`。",
    ),
    "search_elsewhere": (
        "Not with the memory {kind!r}: only the Responses API can search.",
        "记忆方式为 {kind!r} 时不可用：只有 Responses API 能联网搜索。",
    ),
    "pictures_read": ("It takes pictures.", "可以识别图片。"),
    "pictures_refused": (
        "It does not take pictures. Take `image` out of its `inputs` in data/models.yaml.",
        "不能识别图片。请在 data/models.yaml 中从它的 `inputs` 里去掉 `image`。",
    ),
    "untold": ("Could not be found out: {why}", "未能确定：{why}"),
    "fields": (
        "It refuses {fields}; the app leaves that out.",
        "不接受 {fields}，应用会省去这些字段。",
    ),
    "cost": (
        "This check used {tokens} tokens in {calls} calls, about ¥{yuan:.4f}.",
        "本次检查调用 {calls} 次，用了 {tokens} tokens，约 ¥{yuan:.4f}。",
    ),
}

# What to click in Ark's console, by the code of an error whose sentence does not say it.
CLICKS: dict[str, tuple[str, str]] = {
    "key_refused": (
        "In Ark's console under “API keys” (API Key 管理), look whether the key is there and "
        "enabled, or make a new one; a key of a coding plan does not fit.",
        "请在方舟控制台的“API Key 管理”中查看密钥是否存在并已启用，或新建一个；"
        "编程套餐（Coding Plan）的密钥不适用。",
    ),
    "plan_key": (
        "Make a key in Ark's console under “API keys” (API Key 管理).",
        "请在方舟控制台的“API Key 管理”中新建密钥。",
    ),
    "access_refused": (
        "In Ark's console under “API keys” (API Key 管理), look whether the key is bound to "
        "another project, to other models or to other addresses.",
        "请在方舟控制台的“API Key 管理”中查看密钥是否限定了其他项目、模型或 IP 地址。",
    ),
    "account_overdue": (
        "Pay in Volcengine's console under “Billing” (费用中心).",
        "请在火山引擎控制台的“费用中心”充值。",
    ),
    "model_not_found": (
        "In Ark's console, look under “Model activation” (开通管理) for models that are still "
        "offered, and for an endpoint (ep-…) under “Online inference” (在线推理).",
        "请在方舟控制台的“开通管理”中查看仍在提供的模型；接入点（ep-…）请在“在线推理”中查看。",
    ),
    "endpoint_needed": (
        "Make an endpoint in Ark's console under “Online inference” (在线推理).",
        "请在方舟控制台的“在线推理”中新建推理接入点。",
    ),
    "quota_used_up": (
        "In Ark's console, look at the quota under “Model activation” (开通管理).",
        "请在方舟控制台的“开通管理”中查看额度。",
    ),
}


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    """What was looked at: `settings`, `ark`, `model`, …"""
    ok: bool
    told: str
    code: str
    """What was found, the same in every language."""
    model: str = ""
    """The name of ARK_MODEL that it is about."""
    is_note: bool = False
    """Whether the app works, but less well than it could."""

    @property
    def line(self) -> str:
        mark = "FAILED" if not self.ok else "note  " if self.is_note else "ok    "
        about = f"{self.name} ({self.model})" if self.model else self.name
        return f"{mark}  {about}: {self.told}"


class Findings:
    """Collects findings in one language."""

    def __init__(self, language: Language, on_ark: bool) -> None:
        self._language = language
        self._on_ark = on_ark
        """Whether the service is Ark, so that it has a console."""
        self.all: list[Finding] = []

    def good(self, name: str, code: str, model: str = "", **values: object) -> None:
        self._add(name, True, self.text(code, model=model, **values), code, model)

    def note(self, name: str, code: str, model: str = "", **values: object) -> None:
        """The app works, but less well than it could."""
        self._add(name, True, self.text(code, model=model, **values), code, model, is_note=True)

    def bad(self, name: str, code: str, model: str = "", **values: object) -> None:
        told = f"{self.text(code, model=model, **values)} {self._click(code)}"
        self._add(name, False, told.strip(), code, model)

    def error(self, name: str, error: ArkError, model: str) -> None:
        """An error of the model service, with what to do and what the service said."""
        words = " ".join(error.detail.split())[:MOST_WORDS]
        told = f"{self.sentence(error)} {self._click(error.code)}".strip()
        told = f"{told} ({error.for_log()}) {words}".strip()
        self._add(name, False, told, error.code, model)

    def sentence(self, error: ArkError) -> str:
        """The sentence of an error as the page has it."""
        if self._language == "zh" and error.code in ERRORS_ZH:
            return ERRORS_ZH[error.code].format_map(error.values)
        return str(error)

    def text(self, code: str, **values: object) -> str:
        return TEXTS[code][self._language == "zh"].format_map(values)

    def _click(self, code: str) -> str:
        clicks = CLICKS.get(code) if self._on_ark else None
        return clicks[self._language == "zh"] if clicks else ""

    def _add(
        self, name: str, ok: bool, told: str, code: str, model: str, *, is_note: bool = False
    ) -> None:
        self.all.append(Finding(name, ok, told, code, model, is_note))
