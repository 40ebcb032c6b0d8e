-- KEYS: the part, its target, and the record of the move to it. ARGV: 3 when it expires in Unix ms (0: never),
-- 4 what tells the move, 5 ms that the record lives, 6 how many elements the part must have.
local part, target, record = KEYS[FIRST], KEYS[FIRST + 1], KEYS[FIRST + 2]
local known = redis.call('GET', record)
if known then return {known:match('^%S+') == ARGV[4] and 'written' or 'changed', ''} end
local taken = redis.call('EXISTS', target) == 1 and 'refused'
local answer = place(taken, part, target, ARGV[6], ARGV[3])
if answer == 'written' then redis.call('SET', record, ARGV[4] .. ' -', 'PX', ARGV[5]) end
return {answer, ''}
