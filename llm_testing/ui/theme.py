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
        # Labels are text, not badges: dozens of coloured badges would drown the few things that matter.
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="#1d2430",
        block_label_text_color_dark="#e4e8ef",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_text_color="#1d2430",
        block_title_text_color_dark="#e4e8ef",
        block_title_text_weight="600",
        block_title_padding="0",
        block_info_text_color="#5a6474",
        block_info_text_color_dark="#9aa5b6",
        block_padding="8px 12px",
        input_border_color="#d5dae1",
        input_border_color_dark="#343c49",
        input_border_width="1px",
        input_shadow="none",
        input_shadow_dark="none",
        button_primary_background_fill="#6d3fd4",
        button_primary_background_fill_hover="#5b32b8",
        button_primary_background_fill_dark="#7c52e0",
        button_primary_background_fill_hover_dark="#8d68e8",
        button_primary_text_color="#ffffff",
        checkbox_label_background_fill_selected="#6d3fd4",
        checkbox_label_background_fill_selected_dark="#7c52e0",
        button_secondary_background_fill_dark="#222834",
        button_secondary_background_fill_hover_dark="#2c3442",
        button_cancel_background_fill_dark="#222834",
        button_cancel_background_fill_hover_dark="#3a1d1c",
        checkbox_label_background_fill_dark="#222834",
        checkbox_label_background_fill_hover_dark="#2c3442",
        checkbox_label_shadow="none",
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
