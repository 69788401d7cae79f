"""The page's look in Gradio's own terms; what Gradio has no word for is in static/page.css."""

import gradio as gr

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Soft, with one accent colour, calm greys and the fonts that the machine has: nothing is loaded."""
    made = gr.themes.Soft(
        primary_hue="violet",
        secondary_hue="violet",
        neutral_hue="slate",
        spacing_size="sm",
        radius_size="md",
        text_size="md",
        font=SYSTEM_FONTS,
        font_mono=MONO_FONTS,
    )
    return made.set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#0f1218",
        block_background_fill="#ffffff",
        block_background_fill_dark="#171b23",
        block_border_width="1px",
        block_border_color="#e3e6eb",
        block_border_color_dark="#2a303b",
        block_shadow="none",
        block_shadow_dark="none",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        input_background_fill="#ffffff",
        input_background_fill_dark="#0f1218",
    )
