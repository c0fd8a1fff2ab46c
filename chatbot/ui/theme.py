"""Colours, fonts and sizes of the page; the rest of the style is in `style.css`."""

import gradio as gr


def theme() -> gr.themes.Base:
    """Quiet colours and the system's own fonts: no font is fetched from another host."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei",
             "Noto Sans CJK SC", "sans-serif"]  # fmt: skip
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    # Each pair is light, dark; every text colour has a contrast of at least 4.5.
    page, side = ("#ffffff", "#1b1c20"), ("#f6f7f9", "#141518")
    text, muted = ("#1f2329", "#e7e8ec"), ("#626975", "#9ea4af")
    line, hover = ("#e3e5ea", "#33353c"), ("#eceef2", "#26282e")
    accent, soft = ("#4f46e5", "#a5b0ff"), ("#eef0ff", "#2a2d45")
    danger, danger_hover = "#c92a35", "#a91f2a"
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.zinc,
        radius_size=gr.themes.sizes.radius_lg,
        font=fonts,
        font_mono=mono,
    )
    return base.set(
        **_both("body_background_fill", page),
        **_both("body_text_color", text),
        **_both("body_text_color_subdued", muted),
        **_both("background_fill_primary", page),
        **_both("background_fill_secondary", side),
        **_both("border_color_primary", line),
        **_both("border_color_accent", accent),
        **_both("color_accent_soft", soft),
        **_both("link_text_color", accent),
        **_both("link_text_color_hover", accent),
        **_both("link_text_color_active", accent),
        **_both("link_text_color_visited", accent),
        **_both("code_background_fill", side),
        **_both("block_background_fill", page),
        **_both("block_border_color", line),
        **_both("block_title_text_color", muted),
        **_both("block_label_text_color", muted),
        **_both("input_background_fill", page),
        **_both("input_background_fill_focus", page),
        **_both("input_border_color", line),
        **_both("input_border_color_focus", accent),
        **_both("input_placeholder_color", muted),
        **_both("button_secondary_background_fill", page),
        **_both("button_secondary_background_fill_hover", hover),
        **_both("button_secondary_border_color", line),
        **_both("button_secondary_border_color_hover", line),
        **_both("button_secondary_text_color", text),
        **_both("button_primary_background_fill", ("*primary_600", "*primary_600")),
        **_both("button_primary_background_fill_hover", ("*primary_700", "*primary_700")),
        **_both("button_primary_text_color", ("#ffffff", "#ffffff")),
        **_both("button_cancel_background_fill", (danger, danger)),
        **_both("button_cancel_background_fill_hover", (danger_hover, danger_hover)),
        **_both("button_cancel_text_color", ("#ffffff", "#ffffff")),
        **_both("input_border_width", ("1px", "1px")),
        **_both("button_border_width", ("1px", "1px")),
        button_large_text_size="*text_md",
        button_large_text_weight="500",
        button_small_text_size="13px",
        button_small_text_weight="400",
        chatbot_text_size="15px",
        prose_header_text_weight="600",
    )


def _both(name: str, values: tuple[str, str]) -> dict[str, str]:
    return {name: values[0], f"{name}_dark": values[1]}
