"""The longer texts of the scripted replies, in Chinese and English.

Together they show what a chat page must be able to draw: lists, code with a tab in it,
formulas, tables, thoughts, emoji, right-to-left text and an answer worth scrolling.
"""

HELP = {
    "en": """\
Hello! This is the **offline demo**: no model runs here, so I answer from a script. \
The memory is real, though, and so is the streaming. You can try:

- `what did I say first?` or `what did I say last?`
- `my name is Ada`, and later `what is my name?`
- `code`, `table`, `formula`, `emoji` or `arabic`, to see how a page draws them
- `think`, a reply that shows its thoughts; the switch for thinking gives every reply some
- `news today` or `weather` with web search on, an answer with its sources
- a picture or a PDF, and I tell what I can see of it
- `long`, an answer of several screens, good for trying Stop
- `echo: any text` and `count 20`

To talk to a real Doubao model, put your key and model into `.env` and start again:

```
ARK_API_KEY=your key
ARK_MODEL=doubao-seed-2-1-lite-260915
```
""",
    "zh": """\
你好！这里是**离线演示**：没有运行任何模型，我按脚本回答。不过记忆和流式输出都是真的。你可以试试：

- `我第一句说了什么` 或 `我上一句说了什么`
- `我叫小明`，过一会儿再问 `我叫什么`
- `代码`、`表格`、`公式`、`emoji`、`阿拉伯语`，看看页面怎样显示
- `思考`，一个会展示思考过程的回答；打开思考开关，每个回答都会先想一想
- 打开联网搜索，再问 `今天的新闻` 或 `天气`，回答会带上来源
- 发一张图片或一份 PDF，我会说出看到了什么
- `长`，一篇好几屏的长回答，适合用来试试“停止”
- `echo: 任意文字` 和 `count 20`

想和真正的豆包模型对话，请在 `.env` 里填上密钥和模型，然后重新启动：

```
ARK_API_KEY=你的密钥
ARK_MODEL=doubao-seed-2-1-lite-260915
```
""",
}

CODE = {
    "en": """\
Here is a small Python example, with real indentation and one tab:

```python
def fibonacci(limit):
    a, b = 0, 1
    while a < limit:
        if a % 2 == 0:
            yield a, "even"
        else:
            yield a, "odd"
        a, b = b, a + b


TABBED = \"\"\"name\tvalue
answer\t42\"\"\"

for number, kind in fibonacci(50):
    print(f"{number:>3} {kind}")
```

Run it with `python fibonacci.py`.
""",
    "zh": """\
下面是一小段 Python 代码，带有真实的缩进和制表符：

```python
def fibonacci(limit):
    a, b = 0, 1
    while a < limit:
        if a % 2 == 0:
            yield a, "偶数"
        else:
            yield a, "奇数"
        a, b = b, a + b


TABBED = \"\"\"名称\t数值
答案\t42\"\"\"

for number, kind in fibonacci(50):
    print(f"{number:>3} {kind}")
```

用 `python fibonacci.py` 运行它。
""",
}

FORMULA = {
    "en": r"""The roots of $ax^2 + bx + c = 0$ are

$$x_{1,2} = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$$

and the area under the bell curve is

$$\int_{-\infty}^{\infty} e^{-x^2}\,\mathrm{d}x = \sqrt{\pi}$$

It costs $5 to print this, which is not a formula.
""",
    "zh": r"""方程 $ax^2 + bx + c = 0$ 的两个根是

$$x_{1,2} = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$$

钟形曲线下的面积是

$$\int_{-\infty}^{\infty} e^{-x^2}\,\mathrm{d}x = \sqrt{\pi}$$

打印这一页要花 $5，这个不是公式。
""",
}

TABLE = {
    "en": """\
| Planet | Moons | Day (hours) |
|:-------|------:|------------:|
| Earth | 1 | 24 |
| Mars | 2 | 24.6 |
| Jupiter | 95 | 9.9 |
| Saturn | 146 | 10.7 |

Numbers are aligned to the right.
""",
    "zh": """\
| 行星 | 卫星数 | 一天（小时） |
|:-----|-------:|-------------:|
| 地球 | 1 | 24 |
| 火星 | 2 | 24.6 |
| 木星 | 95 | 9.9 |
| 土星 | 146 | 10.7 |

数字靠右对齐。
""",
}

EMOJI = {
    "en": "Here you go: 😀 🎉 👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 🇨🇳 👍🏽 ❤️ — all of them arrived in one piece.",
    "zh": "来了：😀 🎉 👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 🇨🇳 👍🏽 ❤️，每一个都完整送达。",
}

ARABIC = {
    "en": """\
مرحبا! هذا نص عربي يُكتب من اليمين إلى اليسار، وفيه كلمة إنجليزية واحدة: Doubao.

That was Arabic for: "Hello! This is Arabic text, written from right to left, with one \
English word in it: Doubao."
""",
    "zh": """\
مرحبا! هذا نص عربي يُكتب من اليمين إلى اليسار، وفيه كلمة صينية واحدة: 豆包.

上面这段阿拉伯语的意思是：“你好！这是一段从右往左写的阿拉伯语，里面有一个中文词：豆包。”
""",
}

THOUGHT = {
    "en": """\
The user wants to see a thought. There is no model here, so I will be honest about that. \
A small puzzle will do: a bat and a ball cost 1.10 together, the bat costs 1.00 more than \
the ball. If the ball cost 0.10, the bat would cost 1.10, and both 1.20. Too much. So the \
ball costs 0.05.""",
    "zh": """\
用户想看看思考过程。这里没有模型，我要如实说明。用一道小题来演示：球拍和球一共 1.10 元，\
球拍比球贵 1.00 元。如果球是 0.10 元，球拍就是 1.10 元，一共 1.20 元，太多了。所以球是 0.05 元。""",
}

THINK = {
    "en": """\
A bat and a ball cost 1.10 together, and the bat costs 1.00 more than the ball: the ball \
costs **0.05**, the bat 1.05. The thoughts you saw are scripted, like all of this demo.""",
    "zh": """\
球拍和球一共 1.10 元，球拍比球贵 1.00 元：球是 **0.05 元**，球拍 1.05 元。\
你看到的思考过程和这个演示里的一切一样，都是脚本。""",
}

ASIDE = {
    "en": "Thinking was asked for, so here is a thought before the scripted reply.",
    "zh": "对方打开了思考，那么在脚本回答之前先想一想。",
}

STEP = {
    "en": " Step {number}: look at the question once more, from another side.",
    "zh": "第 {number} 步：换个角度，再看一遍问题。",
}

SEEN = {
    "en": ("You sent", "No model looks at it here: format and size are all I can tell."),
    "zh": ("你发来了", "这里没有模型在看，我只能说出格式和大小。"),
}

LONG = {
    "en": """\
# A walk through one reply

This is a long answer, so that you can watch it grow, scroll while it does, and try Stop. \
It tells what happens between your pressing Enter and the last word appearing on the page.

## 1. Your message is written down

The first thing that happens is the least visible one. Before anyone talks to a model, your \
message and an empty reply are stored together. If the power went off in the next second, \
nothing you typed would be lost. An application that stores a reply only when it is complete \
loses every reply that is not, and those are the ones people remember.

## 2. The memory is compared with the page

A model has no memory of its own. Whatever it seems to remember was sent to it again, or was \
kept for it under an id. Both have their price:

1. **Sending everything again** is simple and always right. It is also slow and expensive, \
because the tenth question carries the nine before it.
2. **Keeping a context on the server** is cheaper: only the new question travels. But a context \
has a lifetime, and it knows nothing of what you edited, stopped or deleted since.

So the page and the memory are compared before each question. If they agree, only the new \
message is sent. If they do not, a new memory is built from the stored conversation, and you \
see nothing of it except a quiet line.

## 3. Words arrive one by one

A reply comes as a stream of small events. Each of them carries a word or a few characters:

- the first one matters most, because it tells you that you were heard;
- the ones after it are gathered for a tenth of a second, since no eye reads faster than that;
- the last one says *why* the text ended: it was finished, it was too long, or it was stopped.

A stream that simply ends, without saying why, did not finish. It is tempting to treat silence \
as success, and it is wrong.

> A progress bar that never lies is worth more than one that is always full.

## 4. Things go wrong in the middle

Networks break, providers are overloaded, laptops fall asleep. What should you see then?

| what happens | what you should see |
|:-------------|:--------------------|
| you close the tab | the full reply when you come back |
| the connection breaks | the text so far, and a way to go on |
| the provider is busy | a short wait, then the reply |
| the budget is used up | a clear sentence with a time in it |

None of these rows says "an error occurred". A message that does not tell what to do next is \
a riddle, not a message.

## 5. Stopping means stopping

When you press Stop, the request to the provider has to end at once. Hiding the rest of the \
text is not enough: words nobody reads are still paid for. The text you already have stays \
where it is, marked as stopped, and the next question starts from what you can see.

## 6. And then it is only a row in a table

At the end, the reply is a row among others: who said it, when, how many tokens it cost, and \
how many of those came from the cache. You can search for it, export it, or delete it together \
with everything around it.

That was the walk. If you watched all of it arrive, you have just tested streaming, scrolling, \
headings, lists, a quotation and a table in one go. No model was involved: this text is part \
of the offline demo, and it is the same every time.
""",
    "zh": """\
# 一条回答的旅程

这是一篇长回答，你可以看着它一点点变长，一边输出一边滚动页面，也可以试试“停止”。\
它讲的是：从你按下回车，到最后一个字出现在页面上，中间发生了什么。

## 1. 先把你的话记下来

最先发生的事最不起眼。在联系任何模型之前，你的消息和一条空白的回答会一起存进数据库。\
就算下一秒断电，你打的字也不会丢。如果一个程序只在回答完整之后才保存，\
那么所有不完整的回答都会丢失，而人们记住的恰恰是这些。

## 2. 核对记忆和页面

模型本身没有记忆。它看起来记得的一切，要么是重新发给它的，要么是用一个编号替它保存着的。\
两种办法各有代价：

1. **每次全部重发**：简单，而且总是对的。但是又慢又贵，因为第十个问题要带上前面九个。
2. **把上下文留在服务器上**：更便宜，只有新问题需要发送。但上下文有有效期，\
而且不知道你后来修改、停止或删除了什么。

所以每次提问之前，都要核对页面和记忆。两者一致，就只发新消息；不一致，\
就用保存下来的对话重新建立记忆，你只会看到一行安静的提示。

## 3. 文字一个个到达

回答是一串小小的事件，每个事件带着一个词或者几个字：

- 第一个最重要，因为它告诉你：你的话被听到了；
- 后面的会攒上十分之一秒再显示，没有人的眼睛比这更快；
- 最后一个说明文字*为什么*结束：写完了、太长了，或者被停止了。

如果一串事件没有说明原因就断了，那它就没有写完。把沉默当作成功很诱人，但那是错的。

> 从不说谎的进度条，胜过永远是满格的进度条。

## 4. 半路出问题

网络会断，服务会忙，笔记本会睡着。这时你应该看到什么？

| 发生了什么 | 应该看到什么 |
|:-----------|:-------------|
| 你关掉了标签页 | 回来时看到完整的回答 |
| 连接断了 | 已有的文字，以及继续的办法 |
| 服务繁忙 | 稍等片刻，然后是回答 |
| 额度用完了 | 一句说清楚恢复时间的话 |

这些行里没有一行写着“发生错误”。不告诉人下一步怎么办的提示，不是提示，是谜语。

## 5. 停止就是停止

按下“停止”之后，发给服务方的请求必须立刻结束。只把后面的文字藏起来是不够的：\
没有人看的字照样要付费。已经出现的文字会留在原处，标记为“已停止”，\
下一个问题就从你看得到的内容开始。

## 6. 最后它只是表里的一行

最后，这条回答成了表里的一行：谁说的、什么时候说的、用了多少词元、其中多少来自缓存。\
你可以搜索它、导出它，也可以把它和前后的内容一起删除。

旅程到此结束。如果你看着它全部输出完，就一次测试了流式输出、滚动、标题、列表、引用和表格。\
这里没有模型参与：这段文字是离线演示的一部分，每次都一样。
""",
}

TEXTS = {
    "long": LONG,
    "code": CODE,
    "formula": FORMULA,
    "table": TABLE,
    "emoji": EMOJI,
    "arabic": ARABIC,
}
