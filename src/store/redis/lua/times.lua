-- A time as RFC 3339 spells it, in Unix ms. Only the spelling that programs write: upper case, UTC, no leap
-- second. Nothing for any other; that one is read by a library, on the other side.
local find, byte, floor = string.find, string.byte, math.floor
local SPELLING = '^%d%d%d%d%-[01]%d%-[0-3]%dT[0-2]%d:[0-5]%d:[0-5]%d%.?%d*Z$'
local LENGTHS = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
-- Of the years that were met before: on which day, counted from 1970, a month ends and the next one begins.
local years = {}
local function meet(y)
  local past = y - 1
  local days = past * 365 + floor(past / 4) - floor(past / 100) + floor(past / 400) - 719162
  local ends = {[0] = days}
  for m = 1, 12 do
    days = days + LENGTHS[m]
    if m == 2 and y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) then days = days + 1 end
    ends[m] = days
  end
  years[y] = ends
  return ends
end
local function unix_ms(text)
  if not find(text, SPELLING) then return end
  local y1, y2, y3, y4, _, m1, m2, _, d1, d2, _, h1, h2, _, n1, n2, _, s1, s2, point, i, j, k = byte(text, 1, 23)
  local y, m = y1 * 1000 + y2 * 100 + y3 * 10 + y4 - 53328, m1 * 10 + m2 - 528
  local day, hour = d1 * 10 + d2 - 528, h1 * 10 + h2 - 528
  local ends = years[y] or meet(y)
  local before, last = ends[m - 1], ends[m]
  if not before or not last or day < 1 or before + day > last or hour > 23 then return end
  local ms = (((before + day - 1) * 24 + hour) * 60 + n1 * 10 + n2 - 528) * 60000 + (s1 * 10 + s2 - 528) * 1000
  if point == 46 then
    -- Digits end at the Z, and there is at least one.
    if i == 90 then return end
    ms = ms + i * 100 - 4800
    if j ~= 90 then
      ms = ms + j * 10 - 480
      if k ~= 90 then ms = ms + k - 48 end
    end
  elseif point ~= 90 then
    return
  end
  -- Before 1973 a count of ms looks like one of seconds: left to the other side as well.
  if ms >= 100000000000 then return ms end
end
