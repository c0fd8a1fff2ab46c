"""What becomes of a text on its way to the page: the tables of what people saw on chat pages."""

# ruff: noqa: E501
# Tables read best with a case a line.

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.ui.render import Kept, answer, typed, typed_text
from chatbot.ui.render import code as blocks_of_code
from chatbot.ui.render.answer import DEEPEST, LONGEST, LONGEST_BLOCK
from chatbot.ui.render.formulas import MOST, bearable
from chatbot.ui.render.links import MOST as MOST_LINKS
from chatbot.ui.render.plain import DISPLAY_LEFT, DISPLAY_RIGHT, INLINE_LEFT, INLINE_RIGHT

READABLE = str.maketrans(
    {INLINE_LEFT: "⟨", INLINE_RIGHT: "⟩", DISPLAY_LEFT: "⟪", DISPLAY_RIGHT: "⟫"}
)


def seen(text: str) -> str:
    """The answer's HTML, with formulas in angle brackets and plain links."""
    plain = answer(text).translate(READABLE)
    return plain.replace(' target="_blank" rel="noopener noreferrer"', "")


def words(text: str) -> str:
    """What can be read of it, for texts without code blocks."""
    return html.unescape(re.sub(r"<[^>]*>", "", answer(text).replace("<br>", "\n")))


# F1: what looks like a tag is text, also where a whole answer is of such.
@pytest.mark.parametrize(
    "text",
    [
        "类型 List<T> 很常用，请继续阅读",
        "git clone <repo-url> 然后 npm install",
        "<configuration>..</configuration>",
        "#include <iostream> and more",
        "<answer>42</answer>",
        "<think>a</think>b",
        "<!-- x --> y",
        "use <MyComponent/> or <Foo.Bar baz={1}>",
        "in <head>, <title> and <script> go",
        "<b>bold?</b> <div>block?</div> <input value=1>",
        "<br/ onload=x> <sub class=a>x</sub> <SUB id=a>",
        "cat <in >out 2>&1 <<EOF",
        "</div></body></html>",
        "<![CDATA[x]]> <?php echo 1 ?> <!DOCTYPE html>",
        "<svg onload=alert(1)> <math><mtext href=x>",
        "a < b && b > c",
        "Map<String, List<Integer>> m;",
        "<sub>unclosed and <kbd>too",
    ],
)
def test_what_looks_like_a_tag_is_text(text):
    assert words(text) == text
    assert re.findall(r"<(?!/?p>)[^>]*>", answer(text)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("H<sub>2</sub>O<br>x<sup>2</sup>", "<p>H<sub>2</sub>O<br>x<sup>2</sup></p>"),
        ("<KBD>Ctrl</KBD> <mark>m</mark> <u>u</u>", "<p><kbd>Ctrl</kbd> <mark>m</mark> <u>u</u></p>"),
        ("**a <sub>b** c</sub>", "<p><strong>a &lt;sub&gt;b</strong> c&lt;/sub&gt;</p>"),
        ("<sub>a <sup>b</sub>", "<p><sub>a &lt;sup&gt;b</sub></p>"),
        ("<sub>*a*</sub>", "<p><sub><em>a</em></sub></p>"),
        (
            "<details>\n<summary>S *s*</summary>\n\n**b**\n\n</details>\nafter",
            "<details><summary>S <em>s</em></summary><p><strong>b</strong></p></details>\n\n<p>after</p>",
        ),
        ("<details><summary>s</summary>\nb\n</details>", "<details><summary>s</summary><p>b</p></details>"),
        ("<details>\nopen", "<p>&lt;details&gt;<br>open</p>"),
        ("<details open>\nx\n</details>", "<p>&lt;details open&gt;<br>x<br>&lt;/details&gt;</p>"),
    ],
)  # fmt: skip
def test_the_few_tags_that_work(text, shown):
    assert answer(text) == shown


# F3, F6: emphasis beside Chinese; a single tilde is none.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**注意：**请先备份。", "<strong>注意：</strong>请先备份。"),
        ("这是**“重点”**的说明", "这是<strong>“重点”</strong>的说明"),
        ("价格**100元（含税）**起", "价格<strong>100元（含税）</strong>起"),
        ("**甲：**一 **乙：**二", "<strong>甲：</strong>一 <strong>乙：</strong>二"),
        ("*斜：*体 ~~删。~~后", "<em>斜：</em>体 <s>删。</s>后"),
        ("__注：__请", "<strong>注：</strong>请"),
        ("**마크다운(Markdown)**은", "<strong>마크다운(Markdown)</strong>은"),
        ("（**注意**）和**Note:**请", "（<strong>注意</strong>）和<strong>Note:</strong>请"),
        ("__init__方法 snake_case_name 2*3*4", "__init__方法 snake_case_name 2<em>3</em>4"),
        ("需要2~3个小时，价格5~6元", "需要2~3个小时，价格5~6元"),
        ("~/a and ~/b, H~2~O (~_~)", "~/a and ~/b, H~2~O (~_~)"),
        ("~~x~~", "<s>x</s>"),
        ("f(**a)(**b)", "f(**a)(**b)"),
    ],
)
def test_emphasis(text, shown):
    assert seen(text) == f"<p>{shown}</p>"


# F15: links, and where a bare address ends.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("官网：https://example.com/path，欢迎访问。", '官网：<a href="https://example.com/path">https://example.com/path</a>，欢迎访问。'),
        ("（https://a.b/c）", '（<a href="https://a.b/c">https://a.b/c</a>）'),
        ("see https://a.b/c_(d), or (http://e.f/).", 'see <a href="https://a.b/c_(d)">https://a.b/c_(d)</a>, or (<a href="http://e.f/">http://e.f/</a>).'),
        ("“https://a.b”", '“<a href="https://a.b">https://a.b</a>”'),
        ("www.example.com/x，好", '<a href="https://www.example.com/x">www.example.com/x</a>，好'),
        ("https://example.com请看", '<a href="https://example.com">https://example.com</a>请看'),
        ("[x](http://a.b) <mailto:a@b.c>", '<a href="http://a.b">x</a> <a href="mailto:a@b.c">mailto:a@b.c</a>'),
        ("![pic](http://a.b/c.png)", '<a href="http://a.b/c.png">pic</a>'),
        ("![](http://a.b/c.png)", '<a href="http://a.b/c.png">http://a.b/c.png</a>'),
        ("[![p](http://a.b/i.png)](http://c.d)", '<a href="http://c.d">p</a>'),
        ("`https://a.b` xhttps://a.b", "<code>https://a.b</code> xhttps://a.b"),
        ("[x](https://a.bank@b.c/d)", '[x](<a href="https://a.bank">https://a.bank</a>@b.c/d)'),
        ("[x](https://a.bank:p@b.c)", '[x](<a href="https://a.bank">https://a.bank</a>:p@b.c)'),
        ("[x](https://b.c/@d?e@f)", '<a href="https://b.c/@d?e@f">x</a>'),
    ],
)  # fmt: skip
def test_links(text, shown):
    assert seen(text) == f"<p>{shown}</p>"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java&#115;cript:alert(1)", "data:text/html,x", "vbscript:x",
        "file:///etc/passwd", "/gradio_api/file=x", "//evil.test/x", "#usage-line", "x.html", "ftp://a.b",
        "blob:x", "http:/x", "https:", "https:///x", "http://", "&#x6A;avascript:x", "\\javascript:x",
    ],
)  # fmt: skip
def test_other_addresses_are_no_links(address):
    for text in (f"[x]({address})", f"![x]({address})", f"<{address}>", f"[x]\n\n[x]: {address}"):
        assert "<a" not in answer(text)
        assert "<img" not in answer(text)


# F16, F33: lists.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1. 第一步\n\n   先安装。\n\n   再运行。", "<ol><li><p>第一步</p><p>先安装。</p><p>再运行。</p></li></ol>"),
        ("- a\n- b", "<ul><li><div>a</div></li><li><div>b</div></li></ul>"),
        ("2021. a\n2022. b", '<ol class="digits-4" start="2021"><li><div>a</div></li><li><div>b</div></li></ol>'),
        ("- مرحبا", '<ul dir="auto"><li><div>مرحبا</div></li></ul>'),
        ("- [x] a\n- [ ] b", '<ul><li class="task"><div><span class="box">☑</span> a</div></li><li class="task"><div><span class="box">☐</span> b</div></li></ul>'),
        ("a\nb", "<p>a<br>b</p>"),
    ],
)  # fmt: skip
def test_blocks(text, shown):
    assert answer(text) == shown


# F17, F18, F23: which dollar signs are formulas.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$x$", "⟨x⟩"),
        ("so $E = mc^2$, and $a_1$.", "so ⟨E = mc^2⟩, and ⟨a_1⟩."),
        ("质能方程$E=mc^2$很有名", "质能方程⟨E=mc^2⟩很有名"),
        (r"$\frac{1}{2}$ and $$\int x$$", r"⟨\frac{1}{2}⟩ and ⟪\int x⟫"),
        (r"\(a_b\) and \[c\]", r"⟨a_b⟩ and ⟪c⟫"),
        ("`$x$` but $y$", "<code>$x$</code> but ⟨y⟩"),
        ("``a ` $b$`` $c$", "<code>a ` $b$</code> ⟨c⟩"),
        (r"$\$5$ and $n$", r"⟨\$5⟩ and ⟨n⟩"),
        ("$a<b$ $c&d$", "⟨a&lt;b⟩ ⟨c&amp;d⟩"),
        ("$a*b*c$ *d*", "⟨a*b*c⟩ <em>d</em>"),
        (r"$x_{a}$ \$5 $y$", "⟨x_{a}⟩ $5 ⟨y⟩"),
        # Text.
        ("between $5 and $6", "between $5 and $6"),
        ("$5-$6, or US$5 and HK$6", "$5-$6, or US$5 and HK$6"),
        ("要花 $5，不是$6。", "要花 $5，不是$6。"),
        (r"an escaped \$x$", "an escaped $x$"),
        ("$ x $", "$ x $"),
        ("$not\nclosed$", "$not<br>closed$"),
        ("PATH=$HOME/bin:$PATH", "PATH=$HOME/bin:$PATH"),
        ("${A}${B}", "${A}${B}"),
        ("$(#a).text($(#b).val())", "$(#a).text($(#b).val())"),
        ('"$schema": 1, "$ref": 2', "&quot;$schema&quot;: 1, &quot;$ref&quot;: 2"),
        ("$$HOME and $$X", "$$HOME and $$X"),
        (r"\( not closed", "( not closed"),
        ("$", "$"),
        ("$$", "$$"),
    ],
)
def test_formulas_in_a_line(text, shown):
    assert seen(text) == f"<p>{shown}</p>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$$\na\n- b\n= c\n$$", "<p>⟪\na\n- b\n= c\n⟫</p>"),
        ("text\n\\[\nx\n\\]\nmore", "<p>text</p>\n\n<p>⟪\nx\n⟫</p>\n\n<p>more</p>"),
        (r"\begin{align}a&=b\\c&=d\end{align}", r"<p>⟪\begin{align}a&amp;=b\\c&amp;=d\end{align}⟫</p>"),
        ("\\begin{equation}\nx\n\\end{equation}", "<p>⟪\\begin{equation}\nx\n\\end{equation}⟫</p>"),
        ("- a\n\n  $$\n  x\n  $$", "<ul><li><p>a</p><p>⟪\nx\n⟫</p></li></ul>"),
        ("$$a$$ and $$b$$", "<p>⟪a⟫ and ⟪b⟫</p>"),
        ("$$\nnever closed", "<p>$$<br>never closed</p>"),
        ("\\begin{document}x\\end{document}", "<p>\\begin{document}x\\end{document}</p>"),
    ],
)  # fmt: skip
def test_formulas_of_their_own(text, shown):
    assert seen(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "```sh\necho $A$B\n```", "~~~\n$a$\n~~~", "```\nstill being written: $a$", "    $x$ indented",
        '````\n"```" then x = "$a$"\n````', "a stray ` tick\n\n`echo $a$b`",
    ],
)  # fmt: skip
def test_code_holds_no_formula(text):
    assert not set(answer(text)) & {INLINE_LEFT, DISPLAY_LEFT}


@pytest.mark.parametrize(
    ("formula", "fine"),
    [
        (r"\frac{-b \pm \sqrt{b^2-4ac}}{2a}", True),
        (r"\mathbb{E}_{x\sim p}\left[\log\frac{\hat{p}_\theta(x)}{q(x)}\right]", True),
        (r"\cfrac{1}{1+\cfrac{1}{1+\cfrac{1}{1+\cfrac{1}{x}}}}", True),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", True),
        (r"[0,1) \cup (2,3] \text{ für } \{x\}", True),
        ("x^{" * 150 + "}" * 150, False),
        (r"\frac" * 150, False),
        (r"\frac1" * 150, False),
        (r"\sqrt[" * 60 + "]" * 60, False),
        ("{]" * 100 + "}" * 100, False),
        (r"\left(" * 60 + r"\right)" * 60, False),
        (r"\tiny " * 60, False),
        (r"\unknown" * 60, False),
        ("x" * 4_000, False),
        (r"\def\a{\a\a}\a", False),
        (r"\newcommand\x{y}", False),
        (r"\href{javascript:alert(1)}{x}", False),
        (r"\includegraphics{http://a.b/c.png}", False),
        (r"\htmlStyle{position:fixed}{x}", False),
        (r"\rule{9999em}{9999em}", False),
        (r"\rule{99em}{9 em}", False),
        (r"\rule[1em]{1pt}{10.5cm}", False),
        (r"\rule{99pt}{0.5em} + 12", True),
        (r"\hspace{-500px}x", False),
        ("{unbalanced", False),
        ("un}balanced", False),
        (" ", False),
    ],
)
def test_what_the_page_can_bear(formula, fine):
    assert bearable(formula) is fine
    if not fine and formula.strip() and "}" not in formula[:3]:
        assert not set(answer(f"$${formula}$$")) & {INLINE_LEFT, DISPLAY_LEFT}


HEAD = re.compile(
    r'<div class="code_head"><span>([^<]*)</span><button class="wrap_code_button"></button></div>\n*'
)


# F22, F24 and fenced code; the language above it in brackets.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("```py\nx\n```", "[Python]```python\nx\n```"),
        ("```\na`b\n```", "[]```\na`b\n```"),
        ("~~~ C++ title\n```\n~~~", "[C++]````cpp\n```\n````"),
        ("    indented", "[]```\nindented\n```"),
        ("```make\nall:\n\techo\n```", "[make]```make\nall:\n\ufeff\techo\n```"),
        ("```constructor\nx\n```", "[constructor]```\nx\n```"),
        ("```ts\nx\n```", "[TypeScript]```javascript\nx\n```"),
        ("```<b>x\ny\n```", "[]```\ny\n```"),
        ("```mermaid\ngraph TD\nA-->B\n```", '<div class="mermaid">graph TD&#10;A--&gt;B</div>\n\n[Mermaid]```\ngraph TD\nA-->B\n```'),
        ("```mermaid\ngraph TD\nA-->B", "[Mermaid]```\ngraph TD\nA-->B\n```"),
        ("- a\n  ```py\n  x\n  ```\n  b", "<ul><li><div>a</div>\n\n[Python]```python\nx\n```\n\n<div>b</div></li></ul>"),
    ],
)  # fmt: skip
def test_code_blocks(text, shown):
    assert HEAD.sub(r"[\1]", answer(text)) == shown


@pytest.mark.parametrize(
    "text", ["x" * 1_001, "a\n" * 10_001, "%%%LATEX_BLOCK_0%%%", "a\ufdd0b\ufdd1"]
)
def test_code_that_the_page_cannot_colour_has_no_colours(text):
    shown = answer(f"```py\n{text}\n```")
    assert HEAD.sub(r"[\1]", shown).startswith('[Python]<div class="code_wrap"><button class="copy')
    assert "```" not in shown


@pytest.mark.parametrize(
    "line",
    [
        'A["<img src=x onerror=alert(1)>"]', "click A href \"javascript:alert(1)\"", "click A call f()",
        'A@{ img: "http://a.b/c.png" }', "%%{init: {'themeCSS': '*{position:fixed}'}}%%", "A[http://a.b]",
        "style A fill:url(x)", "classDef x position:fixed", "A[&lt;b&gt;]", "A[#lt;b#gt;]", "A[$$x$$]",
        "links A: {}", "B:::x </style>",
    ],
)  # fmt: skip
def test_diagrams_that_could_do_more_are_code(line):
    assert "mermaid" not in answer(f"```mermaid\ngraph TD\n{line}\n```")


@pytest.mark.parametrize(
    "line",
    [
        "A[开始] --> B{是?}", "style A fill:#f9f,stroke:#333,stroke-width:2px", "A[a<br>b] --> B[c<br/>d]",
        "<<interface>> Shape", "A <|-- B", "A <--> B", 'A["say #quot;hi#quot;"]', "%% a note",
    ],
)  # fmt: skip
def test_diagrams_of_every_day_are_drawn(line):
    assert answer(f"```mermaid\ngraph TD\n{line}\n```").startswith('<div class="mermaid">')


# F30: tables.
def test_cells_of_tables_know_their_side_and_whether_they_may_break():
    shown = answer("| a | 说明说明说明说明说明 |\n|:-:|--:|\n| b<br>c | x |")
    assert shown.startswith('<div class="table"><table><thead><tr><th align="center">a</th>')
    assert '<th align="right" class="long">说明说明说明说明说明</th>' in shown
    assert '<td align="center">b<br>c</td>' in shown


@pytest.mark.parametrize(
    "text",
    [
        "> " * 40 + "deep",
        "\n".join("  " * depth + "- item" for depth in range(40)),
        "word " * (LONGEST_BLOCK // 4),
        "x" * (LONGEST + 1),
        "[x]: http://a.b",
    ],
    ids=["quotes", "lists", "long block", "long text", "nothing but a definition"],
)
def test_what_is_beyond_a_bound_is_plain_text(text):
    assert answer(text) == typed(text)


def test_what_is_too_many_is_text_or_code():
    assert answer("$x$ " * (MOST + 5)).count(INLINE_LEFT) == MOST
    many = answer("[a](http://a.b) " * (MOST_LINKS + 5))
    assert many.count("<a ") == many.count("</a>") == MOST_LINKS
    diagram = "```mermaid\ngraph TD\nA-->B\n```\n\n"
    assert answer(diagram * 12).count('"mermaid"') == blocks_of_code.DIAGRAMS
    assert DEEPEST < 100, "the parser leaves out what is deeper"


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "*a " * 6_000, "![](" * 5_000, "<" * 20_000, "`a" * 10_000, "\\(" * 4_000,
     "$a" * 10_000, "<details>\n" * 5_000, "- " * 10_000, "|a" * 5_000 + "\n" + "|-" * 5_000, "**a" * 6_000,
     "https://" * 3_000, "<sub>" * 4_000, "$$\n" * 6_000, "\\begin{align}\n" * 1_500, "[x]: /\n" * 3_000],
    ids=lambda text: text[:10],
)  # fmt: skip
def test_hostile_texts_are_rendered_all_the_same(text):
    assert answer(text)


# What a person wrote.
@pytest.mark.parametrize(
    "text",
    [
        "# include <stdio.h>",
        "class A:\n    def __init__(self, *a, **k):",
        "1. x\n3. y\n\n2024. 很好的一年",
        "C:\\new\\_x\\*.txt  a    b\tc",
        "&lt;b&gt; <b>x</b> &amp;amp; &#13;",
        "$$HOME and $$X \\[x\\] [^\\]] $a$ `$b$` %%%LATEX_BLOCK_0%%%",
        "\n\n  blank\n\n\nlines \n",
        "\ufdd0x\ufdd1 \ufdd2y\ufdd3 \r\n \u2028 \u0001 \ufeff",
        '<div class="typed m5">x</div>',
        "2~3 **注意：**x https://a.b",
    ],
)
def test_a_question_is_what_was_typed(text):
    shown = typed(text, 5)
    assert typed_text(shown) == text
    inside = shown.removeprefix('<div class="typed m5">').removesuffix("</div>")
    assert not set("<>\n\t\"'%\ufdd0\ufdd1\ufdd2\ufdd3") & set(inside)


@given(st.text())
def test_any_question_comes_back_to_the_character(text):
    assert typed_text(typed(text, 1)) == text


STARTS = re.compile(r"<(?:/?(?:p|div|ul|ol|li|blockquote|h[1-6]|table|details)\b|hr>)")
FENCED = re.compile(r"^(`{3,})[a-z0-9+#.-]*\n.*?\n\1(?=\n|\Z)", re.DOTALL | re.MULTILINE)
ALLOWED = re.compile(
    r"</?(?:p|div|span|ul|li|blockquote|h[1-6]|table|thead|tbody|tr|details|summary|em|strong|s|code|pre|"
    r"sub|sup|kbd|mark|u|a|button|ol|th|td)>|<(?:br|hr)>"
    r'|<a href="(?:https?://|mailto:)[^"<>]*" target="_blank" rel="noopener noreferrer">'
    r'|<(?:ul|ol)(?: dir="auto")?(?: class="digits-\d+")?(?: start="\d+")?>'
    r'|<t[hd](?: align="(?:left|right|center)")?(?: class="long")?>'
    r'|<div class="(?:table|mermaid|code_head|code_wrap|typed)">|<li class="task">|<span class="box">'
    r'|<button class="(?:copy|wrap)_code_button">'
)
MARKUP = st.lists(
    st.sampled_from(
        ["<", ">", "</", "<script>", "<div ", 'style="x"', "'", '"', "`", "```", "\n", "\n\n", "    ", "- ", "1. ",
         "> ", "[", "](", ")", "http://", "javascript:", "!", "&lt;", "&#60;", "$", "$$", "\\(", "\\)", "<br>", "<sub>",
         "</sub>", "<details>\n", "</details>\n", "|a|b|\n|-|-|\n", "*", "**", "_", "~~", "x", "中", "\\", "%%%",
         "\ufdd0", "\ufdd1", "# ", "---", "<!--", "-->", "mermaid\n", "\t", "\u202e", "<a href=", "onclick=", "www.a.b"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(MARKUP | st.text(max_size=80))
def test_an_answer_is_html_of_our_own_making(text):
    shown = answer(text)
    without = FENCED.sub("", shown)
    for tag in re.findall(r"<[^>]*>?", without):
        assert ALLOWED.fullmatch(tag), shown
    formulas_out = re.sub("\ufdd0[^\ufdd1]*\ufdd1|\ufdd2[^\ufdd3]*\ufdd3", "", without)
    assert not set("\ufdd0\ufdd1\ufdd2\ufdd3\t") & set(formulas_out)
    for chunk in filter(None, formulas_out.split("\n\n")):
        # Else Gradio's Markdown would read it as such.
        assert STARTS.match(chunk.lstrip("\n")), shown


def test_an_answer_is_kept_and_forgotten():
    kept = Kept(most_chars=40)
    assert kept.answer("**a**") == "<p><strong>a</strong></p>"
    assert "**a**" in kept
    kept.answer("b" * 20)
    assert "**a**" not in kept


def test_no_letter_has_more_marks_than_a_browser_can_draw_at_once():
    marks = "\u0301" * 1_000
    assert answer(f"a{marks}") == f"<p>a{marks}</p>"
    assert answer(f"a{marks}\u0301") == f"<p>a{marks}◌\u0301</p>"
    assert answer("a" + 60 * marks).count("◌") == 59
