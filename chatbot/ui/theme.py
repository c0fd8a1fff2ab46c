"""Colours, fonts and sizes of the page; what a theme cannot say is in `style.css`."""

import gradio as gr


def theme() -> gr.themes.Base:
    """Quiet colours and the system's own fonts: no font is fetched from another host."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei",
             "Noto Sans CJK SC", "sans-serif"]  # fmt: skip
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=fonts,
        font_mono=mono,
    )
