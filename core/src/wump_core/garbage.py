"""How often a process looks for garbage that nothing but a cycle holds."""

import gc


def collect_seldom() -> None:
    """Look seldom, and never among what is loaded by now. Called once, by a process that is about to save records.

    Records come and go by the hundred thousand, and hold no cycles. As often as Python looks by itself, it spends two
    fifths of the time of saving them, most of it among code that stays.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
