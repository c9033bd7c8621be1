"""Nodes of one offer, as a plan rents or owns them."""

from __future__ import annotations

from planner.catalog.offer import Offer
from planner.plan.part import PlanPart


class RentedNodes(PlanPart):
    """``count`` nodes of one offer, and what each costs while it is paid."""

    provider: str
    region: str
    instance_type: str
    term: str
    gpu: str
    gpus_per_node: int
    count: int
    usd_per_hour_each: float

    @property
    def name(self) -> str:
        """The offer: ``aws us-east-1 p5.48xlarge 3-year``."""
        return f"{self.provider} {self.region} {self.instance_type} {self.term}"

    @property
    def path(self) -> str:
        """The offer as periods name it: ``aws/us-east-1/p5.48xlarge/3-year``."""
        return f"{self.provider}/{self.region}/{self.instance_type}/{self.term}"


def rented_of(offer: Offer, count: int) -> RentedNodes:
    """``count`` nodes of an offer."""
    return RentedNodes(
        provider=offer.provider,
        region=offer.region,
        instance_type=offer.instance_type,
        term=offer.term.value,
        gpu=offer.gpu,
        gpus_per_node=offer.gpu_count,
        count=count,
        usd_per_hour_each=offer.usd_per_hour,
    )
