"""Plans that come back in a request: checked like any other input, their files found among its uploads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.plan.schema import SCHEMA_VERSION, Plan
from planner.scenario.text.yaml_source import Source
from planner.web.requests import PlanData
from planner.web.uploads import known_model, refuse_server_files, with_uploads


def read_plan_data(
    data: PlanData, where: str, files: Mapping[str, str], folder: Path, catalog: Catalog
) -> Plan:
    """The plan in field ``where`` of a request.

    Raises InputError when it is none of this version, or names files that were not uploaded.
    """
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            "not a plan of this version",
            where=where,
            found=f"schema_version {version}",
            allowed=f"schema_version {SCHEMA_VERSION}",
            action="solve the scenario again with this version",
        )
    try:
        plan = Plan.model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join((where, *map(str, first["loc"])))
        raise InputError(first["msg"], where=path, found=first.get("input")) from None
    for refused in refuse_server_files(
        plan.scenario, Source(where, {"services": True}, {}), files, catalog
    ):
        raise refused
    for service in plan.services:
        if not known_model(service.model, files, catalog):
            raise InputError("unknown model", where=f"{where}.services", found=service.model)
    return plan.model_copy(update={"scenario": with_uploads(plan.scenario, folder)})


def with_plain_price_file(plan: Plan) -> Plan:
    """The plan as its reader knows it: the price file by the name it was uploaded under."""
    prices = plan.scenario.prices
    if prices.file is None:
        return plan
    plain = prices.model_copy(update={"file": Path(prices.file).name})
    scenario = plan.scenario.model_copy(update={"prices": plain})
    return plan.model_copy(update={"scenario": scenario})
