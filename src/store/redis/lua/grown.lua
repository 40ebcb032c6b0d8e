-- Gives what grew in parts its own name, unless `answer` says already why not, or it is not whole. `at` is when it
-- expires in Unix ms (0: never). What is not placed is removed.
local function place(answer, part, target, size, at)
  if not answer and measure(redis.call('TYPE', part).ok, part) ~= tonumber(size) then answer = 'changed' end
  if answer then
    redis.call('UNLINK', part)
    return answer
  end
  if at == '0' then
    redis.call('PERSIST', part)
  else
    redis.call('PEXPIREAT', part, at)
  end
  redis.call('RENAME', part, target)
  return 'written'
end
