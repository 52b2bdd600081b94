"""Sizes as people read them."""


def human_size(size: float) -> str:
    """Bytes as people read them: 1.5 GB. Decimal units, as registries and disks are sold."""
    if size < 999_500:
        return f"{size / 1_000:.0f} kB"
    return f"{size / 1_000_000:.0f} MB" if size < 999_500_000 else f"{size / 1_000_000_000:.1f} GB"
