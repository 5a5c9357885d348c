"""English words that build sentences and name nothing: articles, pronouns, prepositions, …"""

from __future__ import annotations

_FUNCTION_WORDS = """
a an the this that these those some any all each every both no not such another other
i he she it we you they me him her us them who whom whose which what where when why how
my his its our your their mine hers ours yours theirs himself herself itself themselves
one two three four five six seven eight nine ten many few several much more most less
of in on at to by for from with without into onto upon over under about above below after before
between against toward towards through during across along around behind beside near next off out
up down as than and or but nor so if then because while until since though just very too also
only there here is are was were be been being am has have had having do does did done will would
can could shall should may might must
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
