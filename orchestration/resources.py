"""Resources of the assets, made from settings. Put here: wiring. Keep out: what a resource can do (`assets.resources`)."""

from assets.resources import LakeResource
from lake.settings import LakeSettings


def lake_resource(settings: LakeSettings) -> LakeResource:
    """The lake of the settings."""
    return LakeResource(home=str(settings.house.root), visible_after_seconds=settings.visible_after_seconds)
