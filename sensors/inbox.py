"""The sensor that notices new files in the inbox."""

import dagster as dg

from portfolio_platform.sources.inbox import fingerprint, waiting
from resources.platform import Platform


@dg.sensor(
    job_name="refresh",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a refresh when complete files wait in the home's inbox.",
)
def inbox_sensor(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for a refresh of these files; the same files ask once, a changed file asks again."""
    home = platform.open()
    files = waiting(home)
    if not files:
        return dg.SkipReason(f"the inbox is empty: {home.inbox}")
    return dg.RunRequest(run_key=f"inbox:{fingerprint(files)}", tags={"inbox": ", ".join(path.name for path in files)[:200]})
