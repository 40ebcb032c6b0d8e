# Waits until the process that started it has closed our input or died, then leaves nothing behind.
# $1: the folder to remove.
# Each line of input is the id of the program that runs now and the signal on which it leaves at once
# (0: it is to be waited for); an empty line: none.

trap '' HUP INT QUIT TERM

pid=
while read -r id word; do pid=$id signal=$word; done

if [ -n "$pid" ]; then
    kill -s "$signal" "$pid"
    tries=0
    while kill -s 0 "$pid" && [ "$tries" -lt 200 ]; do
        sleep 0.05 || sleep 1
        tries=$((tries + 1))
    done
    kill -s KILL "$pid"
fi

# A Postgres that was killed leaves its shared memory segment; the 7th line ends with the segment's id.
lock=$1/data/postmaster.pid
if [ -f "$lock" ]; then
    ipcrm -m "$(sed -n '7s/.* //p' "$lock")"
fi

# Again, because something that is still dying may still be writing.
tries=0
until rm -rf "$1" || [ "$tries" -ge 100 ]; do
    sleep 0.05 || sleep 1
    tries=$((tries + 1))
done

# Whatever else is in our process group, such as a child of the program; and us.
kill -s KILL 0
