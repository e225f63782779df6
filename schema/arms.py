"""The arms of an A/B test between the champion and a challenger, and which one a user is in."""

import hashlib
from typing import Final, Literal

Arm = Literal["champion", "challenger"]
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"


def arm_of(experiment: str, user_id: str, share: float) -> Arm:
    """Return the arm of a user: the same for ever, on any server, and independent of that of another experiment.

    The SHA-256 of ``experiment:user_id`` is uniform, so its first 8 bytes, as a share of 2^64, are below ``share`` for
    that share of users. With a larger share, who was with the challenger stays there.

    Args:
        experiment: Name of the test; the model id of its challenger by default.
        user_id: Outside id.
        share: Share of users who get the challenger, 0 to 1.

    Example:
        >>> [arm_of("autumn", f"user-{n}", 0.5) for n in range(4)]
        ['challenger', 'challenger', 'champion', 'champion']
        >>> arm_of("autumn", "user-1", 0.0), arm_of("autumn", "user-1", 1.0)
        ('champion', 'challenger')
    """
    digest = hashlib.sha256(f"{experiment}:{user_id}".encode()).digest()
    return CHALLENGER if int.from_bytes(digest[:8], "big") / 2**64 < share else CHAMPION
