"""When is a failed attempt tried again?

Exponential ceiling with full jitter (AWS's "full jitter": a uniform draw below the ceiling spreads a crowd best), and a
plugin's own `retry_after_ms` wins over both, as HTTP's Retry-After does. Randomness arrives as `jitter` in [0, 1).
"""

from orchestrald.core.model import Failure, Retry

MAX_RETRY_AFTER_MS = 24 * 3600 * 1000
"""A plugin may ask for a long wait, not for one that nobody will live to see."""


def delay_us(retry: Retry, failures: int, failure: Failure, jitter: float) -> int:
    """Microseconds between the attempt that failed as number `failures` (counted from 1) and the next."""
    if failure.retry_after_ms is not None:
        return min(failure.retry_after_ms, MAX_RETRY_AFTER_MS) * 1000
    # Past ~60 doublings the float overflows; the ceiling has long been reached by then.
    ceiling = min(retry.backoff * retry.multiplier ** min(failures - 1, 60), retry.max_backoff)
    return int(ceiling * jitter * 1_000_000)


def may_retry(retry: Retry, failures: int, failure: Failure) -> bool:
    """Whether the failure as number `failures` may be followed by another attempt: `max` counts retries."""
    return failure.retryable and failures <= retry.max
