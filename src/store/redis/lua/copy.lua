-- KEYS: source, target and bucket of each key. ARGV: 3 type or nothing, 4 on_conflict, 5 number of guards,
-- 6... the guards' fields behind = or !, then for each key its digest and the guards' values.
-- The same order of questions as the decision made from a read key: record, type, guards, target. The record
-- is made with the first question, and taken back where nothing is copied.
local guards = tonumber(ARGV[5])
local at = 6 + guards
local answers = {}

local function copied(source, target)
  local kind = ARGV[3]
  if kind == '' then kind = redis.call('TYPE', source).ok end
  local size = measure(kind, source)
  if type(size) == 'table' then return 'refused' end
  if kind == 'none' or (size == 0 and redis.call('EXISTS', source) == 0) then return 'gone' end
  for g = 1, guards do
    local guard = ARGV[5 + g]
    local holds = redis.call('HGET', source, guard:sub(2)) == ARGV[at + g]
    if holds ~= (guard:sub(1, 1) == '=') then return 'refused' end
  end
  if is_large(kind, size) then return 'large' end
  local made = redis.pcall('COPY', source, target)
  if made == 0 then
    if ARGV[4] == 'keep' then return 'done' end
    if ARGV[4] == 'fail' then return 'refused' end
    made = redis.pcall('COPY', source, target, 'REPLACE')
  end
  if type(made) == 'table' then return made end
  return 'written'
end

for k = FIRST, #KEYS, 3 do
  local bucket, digest = KEYS[k + 2], ARGV[at]
  local answer = 'done'
  if redis.call('HSETNX', bucket, digest, 'c') == 1 then
    answer = copied(KEYS[k], KEYS[k + 1])
    if answer == 'done' then
      redis.call('HSET', bucket, digest, 'k')
    elseif answer ~= 'written' then
      redis.call('HDEL', bucket, digest)
      if type(answer) == 'table' then return answer end
    end
  end
  answers[#answers + 1] = answer
  at = at + 1 + guards
end
return answers
