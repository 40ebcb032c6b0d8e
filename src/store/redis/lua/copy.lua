-- KEYS: 4... source, target and bucket of each key. ARGV: 3 type or nothing, 4 on_conflict, 5 number of
-- guards, 6... the guards' fields behind = or !, then for each key its digest and the guards' values.
-- The same order of questions as the decision made from a read key: type, guards, record, target.
local guards = tonumber(ARGV[5])
local at = 6 + guards
local answers = {}
for k = 4, #KEYS, 3 do
  local source, target, bucket = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local digest = ARGV[at]
  local kind = redis.call('TYPE', source).ok
  local answer
  if kind == 'none' then
    answer = 'gone'
  elseif ARGV[3] ~= '' and kind ~= ARGV[3] then
    answer = 'refused'
  else
    for g = 1, guards do
      local guard = ARGV[5 + g]
      local holds = redis.call('HGET', source, guard:sub(2)) == ARGV[at + g]
      if holds ~= (guard:sub(1, 1) == '=') then answer = 'refused' end
    end
  end
  if not answer then
    local there = redis.call('EXISTS', target) == 1
    if redis.call('HEXISTS', bucket, digest) == 1 then
      answer = 'done'
    elseif there and ARGV[4] == 'keep' then
      redis.call('HSET', bucket, digest, 'k')
      answer = 'done'
    elseif there and ARGV[4] == 'fail' then
      answer = 'refused'
    elseif redis.call('COPY', source, target, 'REPLACE') == 1 then
      redis.call('HSET', bucket, digest, 'c')
      answer = 'written'
    else
      answer = 'gone'
    end
  end
  answers[#answers + 1] = answer
  at = at + 1 + guards
end
return answers
