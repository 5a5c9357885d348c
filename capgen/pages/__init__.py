"""The report to open in a browser: one file that asks the network for nothing.

    report    what it shows, in which order
    sections  tables and examples
    charts    distributions as SVG
    pictures  photos and heat maps as data URIs
    markup    escaping, and the frame of the page

There is no script in it: without one, nothing a caption or a file name says can run, and its
Content-Security-Policy lets nothing else in.
"""
