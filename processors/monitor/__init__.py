"""The role `monitor`: a faust-streaming app that counts in windows and tells `ops.alerts.v1` what passes a limit.

    onboarding.events.v1 --+                +-- recoveries, SLA breaches   per hour and flow
                           +--> `counted` --+-- failed runs                per hour and rule
    rules.executions.v1  --+                +-- throughput                 per minute and topic
                                                     |
                                            above its limit, once per window --> ops.alerts.v1

Here Faust serves: a count may be lost or doubled, and nobody is harmed. It acknowledges an event whose handler raised, so
nothing that must not be lost runs on it (docs/decisions). Nothing else in this house imports it, and its web server is off.

| module | owns |
|---|---|
| `counting` | what of an event is counted, and when a count is an alert; pure |
| `app` | the Faust app: topics, the windowed table, its start and end |
"""
