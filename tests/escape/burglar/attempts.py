"""What is the outcome of an attempt to get out?

Three answers, never two: `through` (the attempt did what it must not), `held` (refused in the way in which the
mechanism refuses), or an exception, which the suite counts as neither: a failure for another reason proves nothing.
"""

import errno

ATTEMPTS = {}


def attempt(function):
    """Offer it to the table under its own name. It returns an Outcome."""
    ATTEMPTS[function.__name__] = function
    return function


class Outcome:
    def __init__(self):
        self.through = {}
        self.held = {}

    def attempt(self, label, action, *refusals):
        """`refusals` are the error numbers of the mechanism; any other OSError is passed on, with the label."""
        try:
            value = action()
        except OSError as error:
            name = errno.errorcode.get(error.errno, error.errno)
            if error.errno not in refusals:
                raise RuntimeError(f"{label}: {name}, which is no refusal of the mechanism") from None
            self.held[label] = str(name)
        else:
            self.through[label] = repr(value)[:200]
        return self

    def judge(self, label, escaped, evidence):
        (self.through if escaped else self.held)[label] = str(evidence)[:400]
        return self

    def exports(self):
        return {
            "escaped": bool(self.through),
            "through": self.through,
            "held": self.held,
            "evidence": "; ".join(f"{label}: {told}" for label, told in (self.through or self.held).items())[:2000],
        }


def one(label, action, *refusals):
    return Outcome().attempt(label, action, *refusals)


def verdict(label, escaped, evidence):
    return Outcome().judge(label, escaped, evidence)
