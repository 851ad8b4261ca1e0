import sys,collections,re
f=sys.argv[1]
blocks=[b.split('\n') for b in open(f).read().split('\n\n') if b.strip()]
st=[[re.sub(r'^\s*[0-9a-f]+\s+','',l).strip() for l in b if l.strip()] for b in blocks]
st=[s for s in st if s]
N=len(st)
for parent in sys.argv[2:]:
    c=collections.Counter(); tot=0
    for s in st:
        for i in range(len(s)-1,-1,-1):
            if parent in s[i]:
                tot+=1
                c[s[i-1][:110] if i>0 else 'SELF']+=1
                break
    print('==',parent,'%.1f%%'%(100*tot/N))
    for k,n in c.most_common(22): print('   %.2f%%'%(100*n/N),k)
