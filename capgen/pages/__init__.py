"""Pages to open in a browser: templates, charts as SVG, images as data URIs.

page         the one way to make HTML: a template of `templates/`, in which every value is escaped
templates/   `base.html`, the frame with the policy and the style sheet `page.css`; `parts.html`,
             tables, charts, images and cards; one template per page
histogram    line_chart, axes, panel and chart: where everything on a chart lies

Reports hold no script: without one, nothing a caption or a file name says can run, and the
Content-Security-Policy lets nothing else in.
"""
