"""Every text of the page, in English and Chinese, in one table.

Labels of components go through `gr.I18n`, which the browser resolves. What Python writes (errors,
captions, notes) uses `text` with the language of the request.
"""

from collections import defaultdict
from datetime import UTC, datetime, tzinfo
from typing import Literal

from chatbot.errors import ChatbotError
from chatbot.errors_zh import ERRORS_ZH

Language = Literal["en", "zh"]

# key: (English, Chinese)
LABELS: dict[str, tuple[str, str]] = {
    "tagline": ("Ask, write, code: chat with Doubao", "和豆包聊聊：问答、写作、编程"),
    "log_in": ("Log in", "登录"),
    "register": ("Create account", "注册"),
    "name": ("Name", "用户名"),
    "password": ("Password", "密码"),
    "new_name": ("Choose a name", "起一个用户名"),
    "new_password": ("Choose a password (8 characters or more)", "设置密码（至少 8 个字符）"),
    "invitation": ("Invitation code, if you were given one", "邀请码（如果有）"),
    "log_out": ("Log out", "退出登录"),
    "sessions": ("Sessions", "会话"),
    "search": ("Search sessions", "搜索会话"),
    "new_session": ("New session", "新会话"),
    "open_drawer": ("Open the list of sessions", "打开会话列表"),
    "close_drawer": ("Close the list of sessions", "关闭会话列表"),
    "rename": ("Rename", "重命名"),
    "delete": ("Delete", "删除"),
    "export": ("Export", "导出"),
    "save": ("Save", "保存"),
    "cancel": ("Cancel", "取消"),
    "new_title": ("New title", "新标题"),
    "delete_for_good": ("Delete for good", "彻底删除"),
    "conversation_title": ("Chat with Doubao", "与豆包对话"),
    "earlier": ("Show earlier messages", "显示更早的消息"),
    "ask": ("Ask anything…", "输入你的问题…"),
    "to_newest": ("To the newest", "回到最新"),
    "admin": ("Admin", "管理"),
    "back": ("Back", "返回"),
    "pause": ("Pause: no new replies", "暂停：不再生成新回答"),
    "paused_now": (
        "The owner has paused this demo: there are no new replies for now. Your sessions are safe.",
        "演示的主人已暂停服务，暂时不会生成新回答。你的会话都在。",
    ),
    "admin_use": ("Use", "用量"),
    "admin_people": ("People", "用户"),
    "admin_invitations": ("Invitations", "邀请"),
    "admin_errors": ("Errors", "错误"),
    "admin_models": ("Models", "模型"),
    "admin_tokens": ("Tokens a day (0: the common limit)", "每日 token 上限（0：通用上限）"),
    "admin_uses": ("Accounts", "可注册人数"),
    "admin_days": ("Days", "有效天数"),
    "admin_invite": ("New invitation", "新建邀请"),
    "account": ("Account", "账号"),
    "back_to_chat": ("Back to the chat", "返回聊天"),
    "change_password": ("Change password", "修改密码"),
    "change_password_hint": (
        "Your logins in other browsers end with the change.",
        "修改后，你在其他浏览器中的登录都会失效。",
    ),
    "current_password": ("Current password", "当前密码"),
    "next_password": ("New password (8 characters or more)", "新密码（至少 8 个字符）"),
    "logins": ("Logins", "登录记录"),
    "logins_hint": (
        "The browsers in which you are logged in.",
        "当前登录了你账号的浏览器。",
    ),
    "end_others": ("End all other logins", "退出其他所有登录"),
    "your_data": ("Your data", "你的数据"),
    "your_data_hint": (
        "Everything that is stored about you in one JSON file: account, logins, usage, and all "
        "sessions with every version of every message.",
        "将与你有关的全部数据导出为一个 JSON 文件：账号、登录记录、用量，以及所有会话中每条消息的"
        "所有版本。",
    ),
    "export_all": ("Export all data", "导出全部数据"),
    "delete_account": ("Delete account", "注销账号"),
    "delete_account_hint": (
        "Deletes the account with all its sessions. This cannot be undone. Only usage figures "
        "without a name are kept.",
        "将删除账号及其全部会话，且无法撤销；只保留不含姓名的用量数字。",
    ),
    "delete_password": ("Your password, to confirm", "请输入密码以确认"),
    "delete_my_account": ("Delete my account", "永久注销账号"),
    "disclaimer": (
        'Answers can be wrong.<span class="wide"> Check what matters.</span>',
        '回答<span class="wide">由模型生成，</span>可能有误，请注意甄别。',
    ),
    # The crosses close them in this browser for good: `scripts/banner.js`.
    "offline": (
        "<span>Offline demo: no model is connected. Set <code>ARK_API_KEY</code> and "
        "<code>ARK_MODEL</code> in <code>.env</code> and start again to talk to Doubao.</span>"
        '<button type="button" data-close="offline" aria-label="Close">×</button>',
        "<span>离线演示：尚未连接模型。在 <code>.env</code> 中设置 <code>ARK_API_KEY</code> 和 "
        "<code>ARK_MODEL</code> 后重新启动，即可与豆包对话。</span>"
        '<button type="button" data-close="offline" aria-label="关闭">×</button>',
    ),
    "not_kept": (
        "<span>This hosted demo forgets accounts and sessions when it restarts.</span>"
        '<button type="button" data-close="not-kept" aria-label="Close">×</button>',
        "<span>此在线演示重启后不会保留账号和会话。</span>"
        '<button type="button" data-close="not-kept" aria-label="关闭">×</button>',
    ),
}

PHRASES: dict[str, tuple[str, str]] = {
    "host_title": ("This app does not know the name it was asked by", "本应用不认识这个域名"),
    "host_hint": (
        "Its owner can add the name to ALLOWED_HOSTS in .env and start the app again. Behind a "
        "proxy, also name the proxy in TRUSTED_PROXIES, and let it hand on the Host header or send "
        "X-Forwarded-Host.",
        "请演示的主人把该域名加入 .env 中的 ALLOWED_HOSTS，然后重新启动。若在反向代理之后，还请在 "
        "TRUSTED_PROXIES 中写明代理地址，并让代理传递 Host 或 X-Forwarded-Host 请求头。",
    ),
    "proxy_hint": (
        "A proxy in front of this app changes the Host header, so the page cannot reach its "
        "server. Its owner can let the proxy hand on Host (nginx: proxy_set_header Host "
        "$http_host), or send X-Forwarded-Host and be named in TRUSTED_PROXIES.",
        "本应用前面的反向代理改写了 Host 请求头，页面无法连接服务器。"
        "请演示的主人让代理原样传递 Host（nginx：proxy_set_header Host $http_host），"
        "或发送 X-Forwarded-Host 并在 TRUSTED_PROXIES 中写明代理地址。",
    ),
    "copy_link": ("Copy", "复制"),
    "chart_tokens": ("Tokens", "Tokens"),
    "chart_cost": ("Cost, ¥", "费用（¥）"),
    "chart_cached": ("Input from the cache, %", "缓存命中（%）"),
    "chart_people": ("People", "活跃用户"),
    "chart_first": ("First word, ms", "首字时间（毫秒）"),
    "chart_errors": ("Errors in 30 days", "30 天内的错误"),
    "chart_in": ("in", "输入"),
    "chart_in_cached": ("in, cached", "输入（缓存）"),
    "chart_out": ("out", "输出"),
    "chart_p50": ("half of the replies", "半数回答"),
    "chart_p95": ("19 of 20 replies", "95% 的回答"),
    "chart_nothing": ("Nothing to show for the last 30 days yet.", "最近 30 天还没有数据。"),
    "chart_no_errors": ("No reply has failed in the last 30 days.", "最近 30 天没有回答出错。"),
    "untitled": ("New session", "新会话"),
    "recent": ("Recent sessions", "最近的会话"),
    "running": ("A reply is being written", "正在生成回答"),
    "group_today": ("Today", "今天"),
    "group_yesterday": ("Yesterday", "昨天"),
    "group_week": ("This week", "本周"),
    "group_older": ("Older", "更早"),
    "group_open": ("Open now", "当前会话"),
    "weekdays": ("Mon Tue Wed Thu Fri Sat Sun", "周一 周二 周三 周四 周五 周六 周日"),
    "all_sessions": ("All sessions", "全部会话"),
    "searching": ("Searching…", "搜索中…"),
    "found_none": ("Nothing found", "没有找到相关会话"),
    "found_one": ("1 session found", "找到 1 个会话"),
    "found_many": ("{count} sessions found", "找到 {count} 个会话"),
    "session_gone": (
        "The session of this address is not here, so this is a new one.",
        "找不到该地址对应的会话，已为你打开一个新会话。",
    ),
    "hits_count": ("{now} of {all}", "{now} / {all}"),
    "hits_before": ("Hit before", "上一处"),
    "hits_next": ("Next hit", "下一处"),
    "hits_close": ("Hide the hits", "关闭"),
    "welcome": ("# What can I do for you?\n{model}", "# 有什么可以帮你？\n{model}"),
    "unnamed_model": ("Doubao", "豆包"),
    # The offline demo answers each of them to the point.
    "example_1": (
        "Write Python code that lists the Fibonacci numbers below 50",
        "写一段 Python 代码，列出 50 以内的斐波那契数",
    ),
    "example_2": (
        "What is the formula for the roots of a quadratic equation?",
        "一元二次方程的求根公式是什么？",
    ),
    "example_3": (
        "Compare the planets from Earth to Saturn in a table",
        "用表格比较从地球到土星的行星",
    ),
    "example_4": ("My name is Ada. Please remember it", "我叫小明，请记住"),
    "confirm_delete": (
        "Delete “{title}” with all its messages? This cannot be undone.",
        "删除“{title}”及其全部消息？此操作无法撤销。",
    ),
    "deleted": ("Deleted.", "已删除。"),
    "continue": ("Continue", "继续生成"),
    "export_you": ("You", "我"),
    "send_label": ("Send", "发送"),
    "stop_label": ("Stop", "停止"),
    "connection_lost": (
        "The connection is lost. What you type stays here; the page goes on by itself.",
        "连接已断开。你输入的内容会保留，恢复后会自动继续。",
    ),
    "wrap_lines": ("Wrap lines", "自动换行"),
    "copy_code": ("Copy code", "复制代码"),
    "not_opened": (
        "The last session did not open, so this is a new one. It is still in the list.",
        "上次的会话没能打开，所以这里是一个新会话；它仍在列表里。",
    ),
    "login_ended": (
        "Your login has ended. Log in again, and everything is as you left it.",
        "登录已失效。请重新登录，之前的会话和草稿都还在。",
    ),
    "author_user": ("You", "我"),
    "author_bot": ("Doubao", "豆包"),
    "answering": ("Doubao is answering…", "豆包正在回答…"),
    "sessions_label": ("Sessions", "会话列表"),
    "messages": ("Messages", "消息"),
    "ask_label": ("Your question", "你的问题"),
    "copy_label": ("Copy message", "复制消息"),
    "conversation": ("Conversation", "对话"),
    "version_back": ("Previous version", "上一个版本"),
    "version_on": ("Next version", "下一个版本"),
    "edit_label": ("The question in other words", "修改问题"),
    "edit_cancel": ("Cancel", "取消"),
    "edit_send": ("Send", "发送"),
    "thinking": ("Thinking", "思考中"),
    "thought": ("Thought", "思考过程"),
    "thought_for": ("Thought for {seconds} s", "思考了 {seconds} 秒"),
    "searching_web": ("Searching the web…", "正在联网搜索…"),
    "searching_web_for": ("Searching the web: {query}", "正在联网搜索：{query}"),
    "sources": ("Sources", "参考来源"),
    "pdf_pages": ("{pages} pages", "{pages} 页"),
    "without_thinking": ("Answer without thinking", "不思考，直接回答"),
    "longer_reply": ("Allow {tokens} tokens", "允许 {tokens} tokens"),
    "ask_model": ("Ask {model} instead", "改问 {model}"),
    "took_searches": ("{searches} searches", "搜索 {searches} 次"),
    "options_label": ("How to answer", "回答方式"),
    "file_add": ("Add pictures or PDF files", "添加图片或 PDF"),
    "model_choice": ("Model", "模型"),
    "thinking_choice": ("Thinking", "思考"),
    "search_choice": ("Web search", "联网搜索"),
    "parameters": ("Answer settings", "回答设置"),
    "parameters_hint": (
        "For this session, from the next question on. An empty box means the default.",
        "仅用于本会话，从下一个问题起生效；留空表示默认值。",
    ),
    "temperature": ("Temperature: higher is more varied", "温度（越高越随机）"),
    "top_p": ("Top P", "Top P"),
    "longest_reply": ("Longest reply, tokens", "最长回答（tokens）"),
    "instructions": ("Your own instructions", "自定义指令"),
    "reset": ("Reset to default", "恢复默认"),
    "file_remove": ("Remove {name}", "移除 {name}"),
    "file_loading": ("Adding {name}…", "正在添加 {name}…"),
    "no_pictures": (
        "This model cannot read this kind of file. Choose another model.",
        "当前模型不能识别这类文件，请换一个模型。",
    ),
    "file_too_big": ("{name} is too large.", "{name} 太大。"),
    "file_list": ("Files of your question", "问题附带的文件"),
    "file_unnamed": ("picture", "图片"),
    "drop_here": ("Drop pictures or PDF files here", "将图片或 PDF 拖到这里"),
    "files_waiting": ("Wait until all files are added.", "请等待文件添加完成。"),
    "thinking_off": ("Off", "关"),
    "thinking_on": ("On", "开"),
    "thinking_low": ("A little", "低"),
    "thinking_medium": ("Medium", "中"),
    "thinking_high": ("A lot", "高"),
    "waiting": ("…", "…"),
    "usage_chip": ("Use", "用量"),
    "usage_short": ("{tokens} tokens · ¥{yuan}", "{tokens} tokens · ¥{yuan}"),
    "usage_short_warning": ("{percent}% of today's limit", "今日额度已用 {percent}%"),
    "usage_reply": ("Last reply: {took}", "上一条回复：{took}"),
    "usage_total": (
        "This session: {prompt} in, {completion} out, ¥{yuan} (cache saved ¥{saved})",
        "本会话：输入 {prompt}，输出 {completion}，¥{yuan}（缓存节省 ¥{saved}）",
    ),
    "usage_today": ("Today: {tokens} tokens, ¥{yuan}", "今天：{tokens} tokens，¥{yuan}"),
    "usage_warning": (
        "{percent}% of your {limit} tokens for today are used",
        "今日额度 {limit} tokens 已用 {percent}%",
    ),
    "took_in": ("{prompt} tokens in ({cached} cached)", "输入 {prompt} tokens（缓存 {cached}）"),
    "took_out": ("{completion} out", "输出 {completion}"),
    "took_first": ("first word {first} s", "首字 {first} 秒"),
    "comma": (", ", "，"),
    "memory": ("Memory: {kind}", "记忆方式：{kind}"),
    "state_stopped": ("Stopped", "已停止"),
    "state_interrupted": ("Interrupted: {reason}", "已中断：{reason}"),
    "state_failed": ("No answer: {reason}", "没有回答：{reason}"),
    "state_filtered": (
        "Ended by the content check; not part of the model's memory",
        "已被内容审核终止；模型不会记住这一轮",
    ),
    "state_length": ("Cut off: the reply reached its limit", "已截断：回复达到长度上限"),
    "note_memory_rebuilt": (
        "The model's memory had expired and was rebuilt from this session",
        "模型的记忆已过期，已根据本会话重新建立",
    ),
    "note_history_cut": (
        "This session is too long to remember whole; its oldest turns were left out",
        "会话过长，最早的几轮没有放入模型的记忆",
    ),
    "note_model_changed": (
        "Another model has answered before; this one got the session from the beginning",
        "之前由另一个模型回答；本会话的内容已交给现在的模型",
    ),
    "note_search_refused": (
        "Answered without web search: the model does not take it",
        "未联网搜索：该模型不支持",
    ),
    "note_search_closed": (
        "Answered without web search: this demo's account has not opened it. Its owner opens "
        "“Web content plug-in” (联网内容插件) in Ark's console under “Component library” (组件库)",
        "未联网搜索：本演示的账号尚未开通。请演示的主人在方舟控制台的“组件库”中开通联网内容插件",
    ),
    "process_died": ("the server was restarted", "服务器重启了"),
    "server_stopped": ("the server was restarted", "服务器重启了"),
    "orphaned": ("nobody was watching any more", "已无人查看"),
    "turn_timeout": ("it took too long", "用时过长"),
    "only_thought": (
        "all tokens of a reply went into its thoughts before the answer began",
        "思考用完了全部 token，还没有开始回答",
    ),
    "empty_reply": ("the model sent an empty reply", "模型返回了空回复"),
    "stopped": ("it was stopped", "已停止"),
    "not_saved": (
        "the rest could not be saved; it is kept in a file for the owner of this demo",
        "其余内容无法保存，已另存为文件，请联系演示的主人",
    ),
    "budget_used_up": (
        "your tokens for today did not suffice to go on",
        "你今天剩余的额度不足以继续",
    ),
    "app_budget_used_up": (
        "this demo's budget for today did not suffice to go on",
        "本演示今天的预算不足以继续",
    ),
    "monthly_budget_used_up": (
        "this demo's budget for this month did not suffice to go on",
        "本演示本月的预算不足以继续",
    ),
    "admin_summary": (
        "Today: {turns} replies, {people} people, {tokens} tokens, ¥{yuan}. "
        "30 days: ¥{month}, cache saved ¥{saved}. Contexts now: about ¥{storage} an hour.",
        "今天：{turns} 条回答，{people} 人，{tokens} tokens，¥{yuan}。"
        "30 天：¥{month}，缓存节省 ¥{saved}。当前上下文存储：约每小时 ¥{storage}。",
    ),
    "admin_tokens_of": (
        "Tokens a day of {name} (empty: the common limit, 0: none)",
        "{name} 每日 token 上限（留空：通用上限，0：不限）",
    ),
    "admin_limit": ("Set limit", "设置上限"),
    "sure": ("Sure?", "确定？"),
    "admin_disable": ("Disable", "停用"),
    "admin_enable": ("Enable", "启用"),
    "admin_reset": ("New password", "重置密码"),
    "admin_revoke": ("Revoke", "撤销"),
    "admin_people_columns": (
        "Name|Last seen|Tokens today|Tokens a day|¥ this month|State|",
        "用户|最近访问|今日 tokens|每日上限|本月 ¥|状态|",
    ),
    "admin_invitation_columns": (
        "#|Made|Expires|Accounts left|Tokens a day|State|",
        "#|创建|过期|剩余人数|每日 tokens|状态|",
    ),
    "admin_error_columns": (
        "Time|Person|Code|Ark request id|Meaning",
        "时间|用户|代码|方舟请求 ID|说明",
    ),
    "admin_model_columns": (
        "Model|Name|¥ in|¥ cached|¥ out|State|",
        "模型|名称|输入 ¥|缓存 ¥|输出 ¥|状态|",
    ),
    "admin_model_on": ("Switch on", "启用"),
    "admin_model_off": ("Switch off", "停用"),
    "admin_model_is_off": ("off for all", "已对所有人停用"),
    "admin_no_invitations": ("There are no invitations yet.", "还没有邀请。"),
    "admin_disabled": ("disabled", "已停用"),
    "admin_invitation_open": ("open", "有效"),
    "admin_invitation_used": ("used up", "已用完"),
    "admin_invitation_expired": ("expired", "已过期"),
    "admin_invitation_revoked": ("revoked", "已撤销"),
    "password_changed": (
        "The password is changed, and your other logins have ended.",
        "密码已修改，其他登录均已失效。",
    ),
    "wrong_password": ("The password is wrong.", "密码不正确。"),
    "login_this": ("This browser", "本浏览器"),
    "login_since": ("logged in", "登录于"),
    "login_seen": ("last seen", "最近活动"),
    "login_end": ("End", "退出"),
    "unknown_browser": ("Unknown browser", "未知浏览器"),
    "no_connection": (
        "The server cannot be reached. Check the connection and try again.",
        "无法连接服务器，请检查网络后重试。",
    ),
    "cookies_blocked": (
        "You are logged in, but this browser does not keep the login inside a frame. "
        "Open the demo in its own tab.",
        "登录成功，但浏览器不允许在框架内保存登录状态。请在新标签页中打开本演示。",
    ),
    "cookies_off": (
        "You are logged in, but this browser keeps no cookies of this site. "
        "Allow them, then log in again.",
        "登录成功，但浏览器禁止本站使用 Cookie。请允许后重新登录。",
    ),
    "open_in_tab": ("Open in a new tab", "在新标签页中打开"),
}


def language_of(accept_language: str | None) -> Language:
    """The page's language for an Accept-Language header (RFC 9110, 12.5.4)."""
    ranked = []
    for place, part in enumerate((accept_language or "").split(",")):
        tag, _, weight = part.strip().lower().partition(";q=")
        try:
            quality = float(weight or 1)
        except ValueError:
            quality = 0.0
        ranked.append((-quality, place, tag))
    for _, _, tag in sorted(ranked):
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "en"


def text(key: str, language: Language, **values: object) -> str:
    """A phrase in that language, with its places filled."""
    return PHRASES[key][language == "zh"].format_map(values)


def error_text(error: ChatbotError, language: Language, zone: tzinfo = UTC) -> str:
    """The sentence for the person at the screen, with moments as their clock shows them."""
    sentence = ERRORS_ZH.get(error.code) if language == "zh" else None
    shown = {
        name: f"{value.astimezone(zone):%m-%d %H:%M}" if isinstance(value, datetime) else value
        for name, value in error.values.items()
    }
    return (sentence or error.sentence).format_map(shown)


def reason_text(reason: str, language: Language, model: str = "") -> str:
    """Why a reply of that model ended early, by what is stored with it: a code, and for some a
    number of seconds behind a colon."""
    code, _, seconds = reason.partition(":")
    if code in PHRASES:
        return text(code, language)
    kind = _by_code().get(code, ChatbotError)
    sentence = ERRORS_ZH.get(kind.code) if language == "zh" else None
    # An endpoint may say whose it is behind a sign that means nothing to people.
    model = model.replace("=", " = ")
    values = {"model": model or "ARK_MODEL", "seconds": seconds or "60"}
    return (sentence or kind.sentence).format_map(defaultdict(lambda: "–", values))


def _by_code() -> dict[str, type[ChatbotError]]:
    found: dict[str, type[ChatbotError]] = {}
    waiting: list[type[ChatbotError]] = [ChatbotError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.__dict__.get("code", ""), kind)
        waiting += kind.__subclasses__()
    return found


def labels(language: Language) -> dict[str, str]:
    """The labels of components, as `gr.I18n` takes them."""
    return {key: both[language == "zh"] for key, both in LABELS.items()}
