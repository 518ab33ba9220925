"""What the shell measures. No tenant, key or id is ever a label."""

from prometheus_client import Counter, Gauge, Histogram

applied = Counter("consumer_messages_applied_total", "Messages applied.", ["consumergroup"])
duplicates = Counter("inbox_duplicates_total", "Messages seen before and dropped.", ["consumergroup"])
parked = Counter("dlt_records_total", "Messages parked, followers included.", ["consumergroup"])
copies_omitted = Counter(
    "dlt_copies_omitted_total", "Parked messages that the broker took as a copy in no form.", ["consumergroup"]
)
parked_keys = Gauge("parked_keys", "Keys whose messages are set aside.", ["consumergroup"])
waiting = Gauge("waiting_messages", "Messages that wait for a missing number.", ["consumergroup"])
batch_seconds = Histogram("consumer_batch_seconds", "One batch, fetch excluded.", ["consumergroup"])
lag_records = Gauge("kafka_consumergroup_lag", "Records behind the end.", ["consumergroup", "topic", "partition"])
lag_seconds = Gauge("consumer_lag_seconds", "Age of the youngest record applied, 0 when nothing is unread.", ["consumergroup"])
lost_fences = Counter(
    "consumer_lost_fences_total", "Batches rolled back because another member owns the partition.", ["consumergroup"]
)
