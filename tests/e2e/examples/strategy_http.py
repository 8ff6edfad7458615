import json
import os
from pathlib import Path
from urllib.request import Request, urlopen

url = os.environ.get("CONTROL_URL", "http://127.0.0.1:8350") + "/v1/portfolios/desk"
token = Path(os.environ["PORTFOLIO_HOME"], "control.token").read_text().strip()


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urlopen(Request(url + path, json.dumps(body).encode() if body else None, headers, method=method)) as response:
        return json.load(response)


kind = {"strategy": "carry", "symbol": "DDD", "ts": "2026-10-31T00:00:00Z", "template": "carry", "playbook": "roll"}
wish = {**kind, "intent_id": "carry-2", "side": "long", "requested_risk": "9000", "requested_notional": "72000"}
flat = {**kind, "intent_id": "carry-3", "side": "flat"}
for answer in call("POST", "/intents", [wish, flat]):  # a batch: all of it is recorded, or nothing
    print(answer["intent_id"], answer["decision_code"], answer["approved_risk"], answer["reasons"])

fill = {**kind, "execution_id": "X-2", "side": "buy", "quantity": "400", "price": "32", "stop_price": "28", "intent_id": "carry-2"}
print(call("POST", "/fills", [fill]), call("POST", "/fills", [fill]))  # sent twice, recorded once
print(call("GET", "/envelopes?symbol=DDD")[0]["max_new_risk"], "may still be asked for")
print(call("DELETE", "/reservations/carry-2?by=carry&reason=done"), call("GET", "/state")["reserved_risk"], "reserved")
