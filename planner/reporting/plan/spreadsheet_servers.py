"""Bought servers as formulas over named inputs: those of the start, and each order that adds to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.findings.schema import OwnedFleet

RUNNING = (
    "=((Idle_power_kW+Utilization*(Max_power_kW-Idle_power_kW))*PUE*Hours_per_year*Tariff"
    "+Max_power_kW*Colocation*12+Server_price*(Network_share+Maintenance_share)+Staff_per_server)/12"
)
_AGE = "=IF({horizon}>Lead_time_months,MOD({horizon}-Lead_time_months,Life_months),0)"
_WORTH = (
    "=IF({age}=0,IF({horizon}>Lead_time_months,0,1),"
    "IF(AND(Life_months>36,Resale_share_36_months>0,{age}<=36),"
    "Resale_share_36_months^({age}/36),"
    "IF(AND(Life_months>36,Resale_share_36_months>0),"
    "IF(Residual_share>0,Resale_share_36_months*(Residual_share/Resale_share_36_months)"
    "^(({age}-36)/(Life_months-36)),"
    "Resale_share_36_months*(Life_months-{age})/(Life_months-36)),"
    "IF(Residual_share>0,Residual_share^({age}/Life_months),"
    "1-{age}/Life_months))))"
)


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """The names of one order: ``suffix`` is empty for that of the start, ``_2`` for the next."""

    suffix: str

    @property
    def servers(self) -> str:
        """How many."""
        return f"Servers{self.suffix}"

    @property
    def needed_after(self) -> str:
        """Months from now until they are needed; the start has no such input."""
        return f"Needed_after{self.suffix}"

    @property
    def ordered(self) -> str:
        """Months from now to the order."""
        return f"Order_month{self.suffix}" if self.suffix else "0"

    @property
    def age(self) -> str:
        """Months in service at the horizon, of servers that are not replaced then."""
        return f"Age_at_horizon{self.suffix}"

    @property
    def worth(self) -> str:
        """Share of the price at the horizon."""
        return f"Worth_at_horizon{self.suffix}"

    @property
    def order_month(self) -> str:
        """A lead time before they are needed, and not before now."""
        return f"=MAX(0,{self.needed_after}-Lead_time_months)"

    @property
    def age_formula(self) -> str:
        """The age at the horizon."""
        return _AGE.format(horizon=self._since("Horizon_months"))

    @property
    def worth_formula(self) -> str:
        """What a server of that age is worth, as a share of its price."""
        return _WORTH.format(age=self.age, horizon=self._since("Horizon_months"))

    @property
    def worth_at_horizon(self) -> str:
        """What all of them are worth at the horizon."""
        return f"{self.servers}*Server_price*{self.worth}"

    def paid_in(self, month: str) -> str:
        """What they cost at the end of the month in a cell, sales deducted."""
        price, served = f"{self.servers}*Server_price", f"({self._since(month)}-Lead_time_months)"
        since, horizon = self._since(month), self._since("Horizon_months")
        begun = f"{since}>=0," if self.suffix else ""
        bought = (
            f"IF(AND({begun}MOD({since},Life_months)=0,"
            f"{since}<MAX({horizon}-Lead_time_months,1)),{price},0)"
        )
        within = f"{served}>0,{month}<=Horizon_months"
        runs = f"IF(AND({within}),{self.servers}*Running_per_month,0)"
        retired = f"IF(AND({within},MOD({served},Life_months)=0),{price}*Residual_share,0)"
        sold = f"IF(AND(Need_ends=1,{month}=Horizon_months),{self.worth_at_horizon},0)"
        return f"{bought}+{runs}-{retired}-{sold}"

    def worth_in(self, month: str) -> str:
        """What they can be sold for at a month: new until delivered, then by age."""
        served = f"MAX(0,{self._since(month)}-Lead_time_months)"
        age = f"IF({served}=0,0,MOD({served}-1,Life_months)+1)"
        late = "AND(Life_months>36,Resale_share_36_months>0)"
        share = (
            f"IF({age}=0,1,IF({age}>=Life_months,Residual_share,IF({late},"
            f"IF({age}<=36,Resale_share_36_months^({age}/36),"
            "IF(Residual_share>0,Resale_share_36_months*(Residual_share/Resale_share_36_months)"
            f"^(({age}-36)/(Life_months-36)),"
            f"Resale_share_36_months*(Life_months-{age})/(Life_months-36))),"
            f"IF(Residual_share>0,Residual_share^({age}/Life_months),1-{age}/Life_months))))"
        )
        worth = f"{self.servers}*Server_price*{share}"
        return f"IF({month}>={self.ordered},{worth},0)" if self.suffix else worth

    def _since(self, month: str) -> str:
        """Months since the order."""
        return f"({month}-{self.ordered})" if self.suffix else month


def orders_of(owned: OwnedFleet) -> Iterator[ServerOrder]:
    """The order of the start, then those that add to it."""
    yield ServerOrder("")
    yield from (ServerOrder(f"_{i}") for i, _ in enumerate(owned.added, start=2))


def summed(terms: Iterator[str]) -> str:
    """Terms added up; several in parentheses."""
    found = tuple(terms)
    return found[0] if len(found) == 1 else f"({'+'.join(found)})"
