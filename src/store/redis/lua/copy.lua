-- KEYS: source, target and bucket of each key. ARGV: 3 type or nothing, 4 on_conflict, 5 number of guards,
-- 6... the guards' fields behind = or !, then for each key its digest and the guards' values.
-- The same order of questions as the decision made from a read key: record, type, guards, target. The record
-- is made with the first question, and taken back where nothing is copied. A number in the bucket stands for a
-- source that was dealt with, its negative for one whose target was there already.
local KEYS, ARGV, call, pcall = KEYS, ARGV, redis.call, redis.pcall
local declared, conflict = ARGV[3], ARGV[4]
local sizer = SIZE[declared]
local guards = tonumber(ARGV[5])
local fields, must = {}, {}
for g = 1, guards do
  local guard = ARGV[5 + g]
  fields[g], must[g] = string.sub(guard, 2), string.sub(guard, 1, 1) == '='
end
local at = 6 + guards
local answers, count = {}, 0

local function copied(source, target)
  local kind, size = declared, nil
  if sizer then
    size = pcall(sizer, source)
  else
    if kind == '' then kind = call('TYPE', source).ok end
    size = measure(kind, source)
  end
  if type(size) == 'table' then return 'refused' end
  if kind == 'none' or (size == 0 and call('EXISTS', source) == 0) then return 'gone' end
  for g = 1, guards do
    if (call('HGET', source, fields[g]) == ARGV[at + g]) ~= must[g] then return 'refused' end
  end
  if is_large(kind, size) then return 'large' end
  local made = pcall('COPY', source, target)
  if made == 1 then return 'written' end
  if made == 0 then
    if conflict == 'keep' then return 'done' end
    if conflict == 'fail' then return 'refused' end
    made = pcall('COPY', source, target, 'REPLACE')
  end
  return made == 1 and 'written' or made
end

for k = FIRST, #KEYS, 3 do
  local bucket, digest = KEYS[k + 2], ARGV[at]
  local answer = 'done'
  if call('SADD', bucket, digest) == 1 then
    answer = copied(KEYS[k], KEYS[k + 1])
    if answer == 'done' then
      call('SADD', bucket, '-' .. digest)
    elseif answer ~= 'written' then
      call('SREM', bucket, digest)
      -- Asked once more, for an error that names this line.
      if type(answer) == 'table' then call('COPY', KEYS[k], KEYS[k + 1]) end
    end
  end
  count = count + 1
  answers[count] = answer
  at = at + 1 + guards
end
return answers
