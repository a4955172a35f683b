"""How does a person hear that something waits for them? On the desktop they sit at, or by a program of the operator's.

Everything in a notice may have been written by a model or a plugin: it is shown as text, never read as an option, as
markup or as a script.
"""

from orchestrald_notify.register import register_notifiers as register_notifiers
