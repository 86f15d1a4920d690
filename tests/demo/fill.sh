# Makes the files of the demo, in a pod that sees the volume.
set -eu
cd /data
mkdir -p "reports 2026" images/icons Überlegungen/日本語 empty
i=0
while [ $i -lt 180 ]; do
  echo "report $i, line one" > "reports 2026/report number $i.txt"
  i=$((i + 1))
done
i=0
while [ $i -lt 25 ]; do
  head -c $((1000 + i * 997)) /dev/urandom > "images/icons/icon-$i.bin"
  i=$((i + 1))
done
for name in none "still none" nichts.leer; do : > "empty/$name"; done
echo "Grüße aus Köln" > "Überlegungen/naïve café.txt"
echo "こんにちは" > "Überlegungen/日本語/ファイル 1.txt"
echo "quote \" and back\\slash and dollar \$" > "odd name \" \$ &.txt"
head -c 20971520 /dev/urandom > large.bin
ln -s large.bin link
chmod 600 large.bin
echo "made $(find . -type f | wc -l) files, $(du -sh . | cut -f 1)"
