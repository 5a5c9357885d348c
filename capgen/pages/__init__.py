"""Pages to open in a browser: frame, escaping, charts as SVG, images as data URIs.

There is no script in a report: without one, nothing a caption or a file name says can run, and
its Content-Security-Policy lets nothing else in.
"""
