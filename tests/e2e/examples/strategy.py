from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.views import headroom_view, instant, money
from portfolio_platform.home import Home

home = Home.from_environment()  # the folder in PORTFOLIO_HOME
plane, now = ControlPlane(home.book, home.clock), home.clock.now()
kind = {"strategy": "carry", "symbol": "DDD", "template": "carry", "playbook": "roll"}
wish = {**kind, "intent_id": "carry-1", "side": "long", "requested_risk": "12000", "requested_notional": "96000", "ts": now}

answer = plane.request_allocation(wish, "desk")
decision = answer.decision
print(decision.code, money(decision.approved_risk, 2), "of", money(decision.requested_risk, 2), "because", *decision.reasons)
for room in (headroom_view(one, 2) for one in decision.headrooms if one.limit is not None):
    print(f"  {room['rule']:14}{room['scope']:11}limit {room['limit']:>9}  used {room['used']:>9}  leaves {room['headroom']:>9}")
print("the same question, the same answer:", plane.request_allocation(wish, "desk").repeated)

if decision.approved:
    quantity = 3_000 * decision.approved_risk // decision.requested_risk  # granted a part: trade that part of the size
    fill = {**kind, "intent_id": "carry-1", "side": "buy", "quantity": quantity // 2, "price": "32", "stop_price": "28", "ts": now}
    plane.on_fill({**fill, "execution_id": "X-1"}, "desk")
    print("half is filled, still reserved:", money(plane.get_portfolio_state("desk").reserved_risk, 2))
    plane.cancel("desk", "carry-1", by="carry", reason="the price ran away")

told = plane.get_portfolio_state("desk").issued["DDD"]
print(f"envelope {told.version}: {told.portfolio_mode}, new risk {money(told.max_new_risk, 2)}, until {instant(told.expires_at)}")
