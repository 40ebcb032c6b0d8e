-- KEYS: a target, and the record of the move to it. ARGV: 3 what tells the source as it was read, 4 1 where the
-- caller watches the target. Takes a target back that nobody has changed since it was written, and forgets it.
local target, record = KEYS[FIRST], KEYS[FIRST + 1]
local source, mark = (redis.call('GET', record) or ''):match('^(%S+) (%S+)$')
if source ~= ARGV[3] then return {'done', ''} end
local dump = ARGV[4] ~= '1' and redis.call('DUMP', target)
if ARGV[4] == '1' or (dump and redis.sha1hex(dump) .. expires_at(target) == mark) then
  redis.call('UNLINK', target)
end
redis.call('UNLINK', record)
return {'written', ''}
