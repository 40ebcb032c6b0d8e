-- KEYS: a target, and the record of the move to it. ARGV: 3 the value as DUMP gave it, 4 when it expires in
-- Unix ms (0: never), 5 what tells the source as it was read, 6 ms that the record lives.
local target, record = KEYS[FIRST], KEYS[FIRST + 1]
local known = redis.call('GET', record)
if known then
  -- A repeated request whose first answer was lost, or what another run left.
  return {known:match('^%S+') == ARGV[5] and 'written' or 'changed', ''}
end
if redis.call('EXISTS', target) == 1 then return {'refused', ''} end
redis.call('RESTORE', target, ARGV[4], ARGV[3], 'ABSTTL')
local dump = redis.call('DUMP', target)
local mark = dump and redis.sha1hex(dump) .. expires_at(target) or '-'
redis.call('SET', record, ARGV[5] .. ' ' .. mark, 'PX', ARGV[6])
return {'written', ''}
