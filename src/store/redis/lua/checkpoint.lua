-- KEYS: 4 ledger. ARGV: 3 field, 4 entry, 5 the plan.
-- A request of a connection that broke may arrive after its step was recorded: it must not undo that. A plan
-- has one step for a migration, so an entry of the same plan that is not partial is the end of this step.
local there = redis.call('HGET', KEYS[4], ARGV[3])
if there then
  local entry = cjson.decode(there)
  if entry.plan == ARGV[5] and entry.status.status ~= 'partial' then return 0 end
end
redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
return 1
