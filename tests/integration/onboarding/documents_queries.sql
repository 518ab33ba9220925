-- Active workflows
SELECT * FROM onboarding_instance WHERE status = 'ACTIVE';

-- Event history for an instance
SELECT * FROM workflow_event 
WHERE instance_id = 'your-id' 
ORDER BY sequence_number;

-- Compensation events
SELECT * FROM workflow_event 
WHERE event_type = 'SAGA_COMPENSATION';

-- Recovery events
SELECT * FROM workflow_event 
WHERE event_type = 'RECOVERY';

-- Version markers
SELECT * FROM workflow_event 
WHERE event_type = 'VERSION_MARKER';

-- Alert if > 10 recoveries/hour
SELECT COUNT(*) FROM workflow_event
WHERE event_type = 'RECOVERY'
  AND created_at > NOW() - INTERVAL '1 hour'
HAVING COUNT(*) > 10;
