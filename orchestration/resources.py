"""Resources of the assets, made from settings. Put here: wiring. Keep out: what a resource can do (`assets.resources`)."""

from assets.resources import FlowResource, LakeResource
from assets.settings import FlowSettings
from lake.settings import LakeSettings


def lake_resource(settings: LakeSettings) -> LakeResource:
    """The lake of the settings."""
    return LakeResource(home=str(settings.house.root), visible_after_seconds=settings.visible_after_seconds)


def flow_resource(settings: FlowSettings | None = None) -> FlowResource:
    """The knobs of what is derived; settings not given are read from the environment."""
    settings = settings or FlowSettings()
    return FlowResource(
        config=str(settings.config.expanduser().resolve()),
        window_seconds=settings.window_seconds,
        liquidation_threshold_usd=settings.liquidation_threshold_usd,
        large_trade_usd=settings.large_trade_usd,
    )
