-- KEYS: first where it is remembered that it ran, then the command's own. ARGV: 3 for how many ms, 4... a
-- command. A repeated request whose first answer was lost does not run it again.
if not redis.call('SET', KEYS[FIRST], '1', 'NX', 'PX', ARGV[3]) then return false end
local answer = redis.pcall(unpack(ARGV, 4))
if type(answer) == 'table' and answer.err then redis.call('DEL', KEYS[FIRST]) end
return answer
