"""How an answer looks and is copied on a phone, over plain http and not on localhost."""

import itertools

import pytest
from playwright.sync_api import expect

from chatbot.ark.offline import script, showcase
from tests.browser.conftest import ARGUMENTS, CHROMIUM, Person
from tests.fake_ark import FakeArk
from tests.server import running_server

HOST = "app.test"
LONG = "x = [" + ", ".join(map(str, range(60))) + "]"
ANSWER = f"""\
Key <kbd>Ctrl</kbd>, a <mark>mark</mark> and ![a cat](https://elsewhere.test/cat.png).

| 名称 | 说明 | 数量 | 价格 | 备注 |
|---|---|--:|:-:|---|
| 苹果 | 一种常见的水果，味道甜美，营养丰富 | 3 | ¥5 | 需要冷藏保存，避免阳光直射 |

- one
  - two
    - three

<br>

2021. year
2022. next

- [x] done
- [ ] open

<br>

- مرحبا

```ts
{LONG}
```

```make
all:
	echo hi
```

```
{"y" * 1_001}
```

```mermaid
graph TD
A --> B
```

1. 第一步

   先安装 $x^2$。

   再运行。

```mermaid
graph TD
A[开始 (x)] --> B{{
```
"""


@pytest.fixture(scope="module")
def ann(playwright, tmp_path_factory):
    settings = {"REGISTRATION": "open", "ALLOWED_HOSTS": f"{HOST},127.0.0.1"}
    chromium = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*ARGUMENTS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    )
    folder = tmp_path_factory.mktemp("looks")
    with (
        pytest.MonkeyPatch.context() as patch,
        FakeArk(pace=0) as ark,
        running_server(ark, folder, **settings) as server,
    ):
        patch.setitem(script.TOPICS, "everything", "everything")
        patch.setitem(showcase.TEXTS, "everything", {"en": ANSWER, "zh": ANSWER})
        page = chromium.new_page(
            viewport={"width": 390, "height": 844}, locale="en-US", has_touch=True
        )
        ann = Person(page, f"http://{HOST}:{server.port}/", "looker").open().register()
        ann.is_in()
        ann.prompt.fill("everything")
        page.click("#prompt .submit-button")
        ann.is_answered()
        # One is drawn, and of the other Mermaid says that it cannot be.
        expect(page.locator("#chatbot .mermaid svg")).to_have_count(2)
        expect(page.locator("#chatbot .mermaid svg").filter(visible=True)).to_have_count(1)
        yield ann
        chromium.close()


def pasted(person: Person, button) -> str:
    """What is in the clipboard after a click, found out as people do."""
    button.click()
    expect(button).to_have_attribute("data-copied", "")
    person.prompt.fill("")
    person.prompt.press("Control+v")
    text = person.prompt.input_value()
    person.prompt.fill("")
    return text


def test_a_message_is_copied_to_the_character(ann):
    assert ann.page.evaluate("isSecureContext") is False
    copy = ann.page.locator("#chatbot .bot-row + .message-buttons button").first
    assert pasted(ann, copy) == ANSWER


def test_code_is_copied_to_the_character(ann):
    copy = ann.page.locator("#chatbot .copy_code_button")
    assert pasted(ann, copy.nth(0)) == LONG
    assert pasted(ann, copy.nth(1)) == "all:\n\techo hi"
    assert pasted(ann, copy.nth(2)) == "y" * 1_001


def test_a_code_block_has_its_language_and_two_buttons_above_it(ann):
    heads = ann.page.locator("#chatbot .code_head:visible")
    expect(heads).to_have_text(["TypeScript", "make", "", "Mermaid"])
    blocks = ann.page.locator("#chatbot .code_wrap:visible")
    for head, block in zip(heads.all(), blocks.all(), strict=True):
        # Or a click on one of the two would scroll to it.
        head.scroll_into_view_if_needed()
        copy, wrap = block.locator("button"), head.get_by_role("button", name="Wrap lines")
        expect(copy).to_have_accessible_name("Copy code")
        box, code = head.bounding_box(), block.locator("pre").bounding_box()
        assert box["y"] + box["height"] == pytest.approx(code["y"], abs=2)
        middle = box["y"] + box["height"] / 2
        sides = []
        for button in (wrap, copy):
            place = button.bounding_box()
            assert place["y"] + place["height"] / 2 == pytest.approx(middle, abs=2)
            assert box["y"] <= place["y"]
            assert place["y"] + place["height"] <= code["y"] + 1, "it covers no code"
            assert min(place["width"], place["height"]) >= 32
            sides += [place["x"], place["x"] + place["width"]]
            # Fails if something else would take the click.
            button.click(trial=True)
        assert sides == sorted(sides)


def test_long_lines_of_code_scroll_or_are_wrapped(ann):
    wrap = ann.page.get_by_role("button", name="Wrap lines").first
    code = ann.page.locator("#chatbot .code_wrap pre").first
    wide = "(one) => one.scrollWidth > one.clientWidth"
    assert code.evaluate(wide)
    wrap.click()
    expect(wrap).to_have_attribute("aria-pressed", "true")
    assert not code.evaluate(wide)
    assert code.inner_text().strip() == LONG
    wrap.click()
    assert code.evaluate(wide)


def test_cells_of_a_wide_table_can_be_read(ann):
    table = ann.page.locator("#chatbot .table")
    assert table.evaluate("(one) => one.scrollWidth > one.clientWidth"), "it scrolls"
    for cell in table.locator("th, td").all():
        words = cell.inner_text()
        width = cell.bounding_box()["width"]
        assert width >= min(len(words) * 15, 9 * 15), words
    assert ann.page.evaluate("document.documentElement.scrollWidth") <= 390


CONTRAST = """(one) => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((n) => n / 255)
      .map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const { color, backgroundColor } = getComputedStyle(one);
  const [dark, bright] = [light(color), light(backgroundColor)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}"""


def test_small_looks(ann):
    message = ann.page.locator("#chatbot .bot .md").first
    for _ in ("light", "dark"):
        assert message.locator("mark").evaluate(CONTRAST) > 4.5
        ann.page.evaluate("document.body.classList.toggle('dark')")
    # Numbers of four digits are not cut off.
    years = message.locator("ol[start='2021']")
    room = years.evaluate("(one) => parseFloat(getComputedStyle(one).paddingInlineStart)")
    assert room >= 45
    # A list of Arabic has its bullets on the right.
    arabic = message.locator("li").filter(has_text="مرحبا")
    assert arabic.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    # Lists in lists are written as large.
    sizes = message.locator("li").evaluate_all(
        "(all) => [...new Set(all.map((one) => getComputedStyle(one).fontSize))]"
    )
    assert len(sizes) == 1
    boxes = message.locator("li.task .box")
    expect(boxes).to_have_text(["☑", "☐"])
    expect(message.locator("img")).to_have_count(0)
    cat = message.get_by_role("link", name="a cat")
    expect(cat).to_have_attribute("href", "https://elsewhere.test/cat.png")
    key = message.locator("kbd").evaluate(
        "(one) => [getComputedStyle(one)].flatMap((s) => [s.borderTopColor, s.borderBottomColor])"
    )
    assert key[0] == key[1]


def test_the_paragraphs_of_a_list_are_paragraphs(ann):
    step = ann.page.locator("#chatbot .bot li").filter(has_text="第一步")
    tops = [paragraph.bounding_box()["y"] for paragraph in step.locator("p").all()]
    assert len(tops) == 3
    assert all(below - above >= 20 for above, below in itertools.pairwise(tops))
    expect(step.locator(".katex")).to_be_visible()


def test_a_diagram_that_cannot_be_drawn_is_its_source(ann):
    expect(ann.page.locator("code").filter(has_text="A[开始 (x)] --> B{")).to_be_visible()
    expect(ann.page.get_by_text("Syntax error").filter(visible=True)).to_have_count(0)


@pytest.mark.parametrize(("touch", "apart"), [(False, 32), (True, 40)])
def test_the_buttons_of_a_message_are_apart_and_differ(ann, touch, apart):
    pointer = ann.page.context.new_cdp_session(ann.page)
    pointer.send("Emulation.setTouchEmulationEnabled", {"enabled": touch})
    ann.page.wait_for_function(f"matchMedia('(pointer: coarse)').matches === {str(touch).lower()}")
    for who in ("user", "bot"):
        buttons = ann.page.locator(f"#chatbot .{who}-row + .message-buttons button")
        boxes = [button.bounding_box() for button in buttons.all()]
        assert len(boxes) == {"user": 2, "bot": 3}[who]
        assert all(on["x"] - back["x"] >= apart for back, on in itertools.pairwise(boxes))
        assert all(min(box["width"], box["height"]) >= apart for box in boxes)
    # The caption stands beside them, at their height.
    caption, last = ann.page.locator("#chatbot small.caption").bounding_box(), boxes[-1]
    assert caption["x"] >= last["x"] + last["width"] - 8
    middle = last["y"] + last["height"] / 2
    assert caption["y"] + caption["height"] / 2 == pytest.approx(middle, abs=3)
    retry, undo = (
        ann.page.get_by_role("button", name=name, exact=True) for name in ("Retry", "Undo")
    )
    expect(retry.locator("svg")).to_be_visible()
    expect(undo.locator("svg")).to_be_hidden()
    assert "url(" in undo.evaluate("(one) => getComputedStyle(one, '::before').maskImage")
