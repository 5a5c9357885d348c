"""Pages to open in a browser: templates, charts as SVG, images as data URIs.

page         renders a template of `templates/`, with every value escaped
templates/   `base.html`, the frame with the policy and the style sheet `page.css`; `parts.html`,
             tables, charts, images and cards; one template per page
histogram    with line_chart, axes, panel and chart: the geometry of charts

Reports have no scripts, so nothing in a caption or a file name can run, and the
Content-Security-Policy blocks everything else.
"""
