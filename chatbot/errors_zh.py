"""The Chinese sentence of every error, by its code. `errors.py` has the English ones."""

ERRORS_ZH: dict[str, str] = {
    "error": "出错了，请重试。",
    "bad_input": "无法理解这个请求。",
    "empty_message": "请先输入内容。",
    "message_too_long": "消息有 {length} 个字符，最多允许 {limit} 个。",
    "bad_name": "用户名须为 2 到 32 个可见字符。",
    "mixed_scripts": "用户名请只用一种文字的字母，不同文字的字母看起来会很像。",
    "bad_password": "密码须为 8 到 128 个字符，且不能是常见密码。",
    "body_too_large": "内容太长，本应用无法一次接收。",
    "no_such_address": "这个地址下没有内容。",
    "unknown_host": "本应用不使用该域名，主人可将它加入 ALLOWED_HOSTS。",
    "tab_lost": "此页面属于另一次登录，请重新加载。",
    "too_many_requests": "同时的请求太多，请在 {seconds} 秒后再试。",
    "cross_site": "该请求来自其他网站，已被拒绝。",
    "not_logged_in": "请先登录。",
    "admins_only": "只有演示的管理员可以这样做。",
    "login_refused": "用户名或密码错误。",
    "name_taken": "这个用户名已被使用，请换一个。",
    "registration_closed": "此处暂不开放注册，请联系演示的主人。",
    "invitation_refused": "需要邀请码，而这个邀请码无效或已失效。",
    "too_many_attempts": "尝试次数过多，请在 {seconds} 秒后再试。",
    "conversation_not_found": "这个会话已不存在。",
    "turn_running": "本会话还有回答正在生成，请等它结束或先停止它。",
    "changed_elsewhere": "本会话已在另一个标签页中改变，请查看后再试。",
    "too_many_turns": "同时生成的回答太多，请等其中一个结束。",
    "sending_too_fast": "发送太频繁，请在 {seconds} 秒后再试。",
    "paused": "演示的主人已暂停服务。你的会话都在，请稍后再来。",
    "budget_used_up": "你今天剩余的额度不够这次使用，将在 {resets} 恢复。",
    "app_budget_used_up": "本演示今天的预算已用完，将在 {resets} 恢复。",
    "monthly_budget_used_up": "本演示本月的预算已用完，将在 {resets} 恢复。",
    "storage_unavailable": "服务器暂时无法保存。你输入的内容还在，请稍后再试。",
    "storage_damaged": "本演示的数据库已损坏，需要由演示的主人恢复，请告知演示的主人。",
    "storage_missing": "本演示的数据库文件不在原处，需要由演示的主人处理，请告知演示的主人。",
    "storage_fault": "服务器出错了，已记录在日志中。你输入的内容还在。",
    "search_not_done": "这次搜索没有完成。",
    "search_too_long": "这次搜索耗时太长，请少用几个词，或换成更少见的词。",
    "search_replaced": "你的另一次搜索取代了这一次。",
    "ark_error": "模型服务报告了错误，请稍后再试。",
    "context_lost": "模型对本会话的记忆已丢失，且未能重建。",
    "context_busy": "模型对本会话的记忆已丢失，且未能重建。",
    "key_refused": "模型服务拒绝了本演示的密钥，请联系演示的主人检查 ARK_API_KEY。",
    "plan_key": (
        "本演示的密钥或地址属于编程套餐（Coding Plan）。请演示的主人改用方舟的 API Key，"
        "并设置 ARK_BASE_URL=https://ark.cn-beijing.volces.com/api/v3。"
    ),
    "access_refused": "本演示的账号无权使用该模型，请联系演示的主人检查方舟控制台。",
    "account_overdue": "本演示在模型服务处已欠费，请告知演示的主人。",
    "model_not_found": (
        "模型 {model} 不存在或已下线，或者本演示的账号无权使用它，请联系演示的主人检查 ARK_MODEL。"
    ),
    "model_not_open": (
        "本演示的账号尚未开通模型 {model}。请演示的主人在方舟控制台的“开通管理”中开通，"
        "几分钟内生效。"
    ),
    "endpoint_needed": (
        "本演示的账号不能用模型 ID 调用 {model}。请演示的主人把 ARK_MODEL 设为方舟控制台中"
        "推理接入点的 ID（ep-…）。"
    ),
    "endpoint_closed": (
        "推理接入点 {model} 已停用。请演示的主人在方舟控制台的“在线推理”中重新启用它。"
    ),
    "wrong_address": (
        "这个地址上没有模型服务。请演示的主人检查 ARK_BASE_URL：方舟的地址以 /api/v3 结尾，"
        "其他服务大多以 /v1 结尾。"
    ),
    "tool_not_open": (
        "本演示的账号尚未开通联网搜索。请演示的主人在方舟控制台的“组件库”中开通联网内容插件。"
    ),
    "attachment_not_found": "这条消息的图片或文件已不存在，请重新添加。",
    "too_many_attachments": "一条消息最多可带 {limit} 个图片或文件。",
    "file_not_read": "无法将这个文件读取为图片或 PDF。",
    "file_too_large": "文件太大：最多 {megabytes} MB、{megapixels} 百万像素、{pages} 页。",
    "pictures_not_read": "模型 {model} 不能识别图片。请换一个模型，或去掉图片再问。",
    "picture_refused": "模型服务无法识别其中的图片或文件，请换一个试试。",
    "not_supported": "该模型不支持所选的会话记忆方式。",
    "bad_request": "模型服务没有接受这个请求。",
    "prompt_too_long": "会话和问题太长，模型放不下。请开始新会话。",
    "moderated": "模型服务的内容审核拒绝了这条内容，请换个说法。",
    "rate_limited": "模型现在很忙，请一分钟后再试。",
    "quota_used_up": "本演示在模型服务处的额度已用完，请告知演示的主人。",
    "free_quota_used_up": (
        "模型 {model} 的免费额度已用完。请演示的主人在方舟控制台的“开通管理”中开通付费服务，"
        "或换一个模型。"
    ),
    "limit_reached": (
        "模型 {model} 已达到限额，被“安心体验模式”暂停。请演示的主人在方舟控制台的“开通管理”中"
        "关闭该模式，或换一个模型。"
    ),
    "busy_for": "模型现在很忙，请在 {seconds} 秒后再试。",
    "ark_overloaded": "模型现在很忙，请一分钟后再试。",
    "ark_unavailable": "暂时无法连接模型服务，请稍后再试。",
    "address_unknown": ("找不到模型服务的地址，请联系演示的主人检查 ARK_BASE_URL 和网络。"),
    "certificate_refused": "模型服务的证书不可信，请联系演示的主人检查 ARK_BASE_URL。",
    "ark_silent": "模型没有及时回答，请重试。",
    "stream_broken": "回答过程中与模型的连接中断了。",
    "reply_too_long": "模型服务发来的内容远超一个回答，已中断。",
}
